//! Rows of a query.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Serialize, Serializer};

use super::{Error, Value};

/// Rows, in the order the database gave them. As JSON they are a list of objects, columns in the order of the
/// statement: what a model can read.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn new(columns: Vec<String>, rows: Vec<Vec<Value>>) -> Self {
        Self { columns, rows }
    }

    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows one by one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|values| Row { columns: &self.columns, values })
    }

    /// Reads every row as a value of `T`.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub fn read<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        self.iter().map(Row::read).collect()
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.iter())
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    columns: &'a [String],
    values: &'a [Value],
}

impl<'a> Row<'a> {
    /// The value of a column, if there is one of that name.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&'a Value> {
        self.columns.iter().position(|name| name == column).map(|index| &self.values[index])
    }

    /// Reads one column.
    ///
    /// # Errors
    /// [`Error::Decode`] when there is no such column, or it has another type.
    pub fn get<T: DeserializeOwned>(&self, column: &str) -> Result<T, Error> {
        let value =
            self.value(column).ok_or_else(|| Error::Decode(format!("there is no column `{column}`")))?;
        T::deserialize(value.into_deserializer()).map_err(|error| error.in_column(column))
    }

    /// Reads the row as a value of `T`.
    ///
    /// # Errors
    /// [`Error::Decode`].
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        T::deserialize(RowDeserializer(self))
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.columns.iter().zip(self.values))
    }
}

struct RowDeserializer<'a>(Row<'a>);

impl<'a> RowDeserializer<'a> {
    fn only(&self) -> Result<&'a Value, Error> {
        match self.0.values {
            [value] => Ok(value),
            values => Err(Error::Decode(format!(
                "a plain value is read from one column, there are {}",
                values.len()
            ))),
        }
    }
}

macro_rules! from_the_only_column {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.only()?.into_deserializer().$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for RowDeserializer<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { row: self.0, next: 0 })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Fields { row: self.0, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        let columns = self.0.columns.len();
        if len != columns {
            return Err(Error::Decode(format!("a tuple of {len} for {columns} columns")));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.only()?.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    from_the_only_column! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option
    }

    serde::forward_to_deserialize_any! { unit unit_struct map struct identifier ignored_any }
}

/// The columns of a row one after the other; an error names the column.
struct Fields<'a> {
    row: Row<'a>,
    next: usize,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let column = self.row.columns.get(self.next).map(|column| StrDeserializer::new(column));
        column.map(|column| seed.deserialize(column)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let index = self.next;
        self.next += 1;
        let value = self.row.values[index].into_deserializer();
        seed.deserialize(value).map_err(|error| error.in_column(&self.row.columns[index]))
    }
}

impl<'de> SeqAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        (self.next < self.row.values.len()).then(|| self.next_value_seed(seed)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.row.values.len() - self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[crate::data]
    #[derive(Debug, PartialEq)]
    struct Account {
        id: String,
        blocked: bool,
        holder: Option<String>,
    }

    fn rows() -> Rows {
        let row = |id: &str, blocked| vec![Value::Text(id.into()), Value::Integer(blocked), Value::Null];
        Rows::new(vec!["id".into(), "blocked".into(), "holder".into()], vec![row("A-1", 0), row("A-2", 1)])
    }

    #[test]
    fn a_struct_takes_columns_by_name() {
        let account = |id: &str, blocked| Account { id: id.into(), blocked, holder: None };
        assert_eq!(rows().read::<Account>(), Ok(vec![account("A-1", false), account("A-2", true)]));
        let error = Rows::new(vec!["id".into()], vec![vec![Value::Null]]).read::<Account>().unwrap_err();
        let message = "a row has another type: column `id`: invalid type: null, expected a string";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_tuple_takes_columns_by_position() {
        type Triple = (String, bool, Option<String>);
        assert_eq!(rows().read::<Triple>().unwrap()[1], ("A-2".into(), true, None));
        let error = rows().read::<(String, bool)>().unwrap_err();
        assert_eq!(error.to_string(), "a row has another type: a tuple of 2 for 3 columns");
    }

    #[test]
    fn a_plain_value_takes_the_only_column() {
        let count = Rows::new(vec!["count(*)".into()], vec![vec![Value::Integer(3)]]);
        assert_eq!(count.read::<i64>(), Ok(vec![3]));
        assert_eq!(count.read::<Option<i64>>(), Ok(vec![Some(3)]));
        let message = "a row has another type: a plain value is read from one column, there are 3";
        assert_eq!(rows().read::<i64>().unwrap_err().to_string(), message);
    }

    #[test]
    fn rows_are_objects_in_json() {
        let json = r#"[{"id":"A-1","blocked":0,"holder":null},{"id":"A-2","blocked":1,"holder":null}]"#;
        assert_eq!(serde_json::to_string(&rows()).unwrap(), json);
    }

    #[test]
    fn columns_are_read_one_by_one() {
        let rows = rows();
        let row = rows.iter().next().unwrap();
        assert_eq!(row.get::<String>("id"), Ok("A-1".into()));
        assert_eq!(row.value("nothing"), None);
        let error = row.get::<String>("nothing").unwrap_err();
        assert_eq!(error.to_string(), "a row has another type: there is no column `nothing`");
    }
}
