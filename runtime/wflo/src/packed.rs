//! What a call of an attempt's journal came to, as long as the guest has not come to that call.

use serde_json::Value;

use crate::history::CameTo;

/// Values with fewer parts stay as they are.
const FEW: usize = 64;

/// A value as JSON text. In memory a value of many small ones, such as rows, takes some twenty times as much.
#[derive(Clone, Debug)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Takes a value of many parts out of what a call came to.
    pub(crate) fn out_of(came_to: &mut CameTo) -> Option<Self> {
        let CameTo::Returned { result: Ok(value), .. } = came_to else { return None };
        if parts(value, FEW) < FEW {
            return None;
        }
        let packed = serde_json::to_vec(value).expect("a value can be written down");
        *value = Value::Null;
        Some(Self(packed.into()))
    }

    /// The value.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.0).expect("it was written from a value")
    }
}

/// How many parts a value has, counted up to `most`.
fn parts(value: &Value, most: usize) -> usize {
    let inner: &mut dyn Iterator<Item = &Value> = match value {
        Value::Array(all) => &mut all.iter(),
        Value::Object(all) => &mut all.values(),
        _ => return 1,
    };
    let mut count = 1;
    for part in inner {
        if count >= most {
            break;
        }
        count += parts(part, most - count);
    }
    count
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wflo_model::Timestamp;

    use super::{FEW, Packed};
    use crate::history::CameTo;

    fn packed(value: Value) -> (Option<Packed>, CameTo) {
        let at = Timestamp::from_micros(1);
        let mut came_to = CameTo::Returned { result: Ok(value), tentative: false, at };
        (Packed::out_of(&mut came_to), came_to)
    }

    #[test]
    fn a_value_of_many_parts_is_kept_as_its_text_and_comes_back_the_same() {
        let rows: Vec<_> =
            (0..1000).map(|n| json!([{ "integer": n.to_string() }, { "text": "é" }, 1.5])).collect();
        let rows = json!({ "rows": rows });
        let (text, came_to) = packed(rows.clone());
        let text = text.expect("it has many parts");
        assert_eq!(came_to.result(), Some(Ok(Value::Null)), "nothing else of it is kept");
        assert_eq!(text.0.len(), rows.to_string().len());
        assert_eq!(text.value(), rows);
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        let text = json!("a long text ".repeat(1000));
        for value in [text, json!({ "a": vec![0; FEW - 3] })] {
            let (none, came_to) = packed(value.clone());
            assert!(none.is_none());
            assert_eq!(came_to.result(), Some(Ok(value)));
        }
        assert!(packed(json!(vec![0; FEW])).0.is_some());
    }
}
