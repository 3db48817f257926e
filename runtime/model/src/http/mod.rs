//! The words of HTTP that grants, gate and journal share: methods, addresses, headers, patterns.
//!
//! Each of them has one form only. What a guest writes is brought into it, or refused, before anything is
//! decided about it, so that no spelling of an address means one thing to a grant and another to a server.

mod address;
mod grant;
mod header;
mod method;
mod octets;
mod pattern;
mod url;

pub use address::is_public;
pub use grant::{HttpGrant, Idempotency};
pub use header::{BadHttpHeader, HttpHeaderName};
pub use method::{BadHttpMethod, HttpMethod};
pub use octets::{BadOctets, Octets};
pub use pattern::{BadHttpPattern, HttpPattern};
pub use url::{BadHttpUrl, HttpHost, HttpScheme, HttpUrl};

/// Lets a type travel as the text it is written as.
macro_rules! as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use as_text;
