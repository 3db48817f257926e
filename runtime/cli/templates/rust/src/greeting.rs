//! What the step computes. It needs no host, so its tests need none.

pub(crate) fn greeting(name: &str) -> String {
    format!("Hello, {}!", name.trim())
}

#[cfg(test)]
mod tests {
    use super::greeting;

    #[test]
    fn a_name_is_greeted() {
        assert_eq!(greeting(" Ada "), "Hello, Ada!");
    }
}
