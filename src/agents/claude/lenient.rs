//! Reading JSON that another program writes and may change: a value of an unexpected kind is nothing, never an error.

use std::fmt;
use std::marker::PhantomData;

use chrono::DateTime;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a type makes of each kind of JSON value; of those that it does not name it makes nothing.
pub(super) trait Shape<'de>: Sized {
    fn text(_: &str) -> Option<Self> {
        None
    }

    fn flag(_: bool) -> Option<Self> {
        None
    }

    fn number(_: f64) -> Option<Self> {
        None
    }

    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A value that may be missing, or be something else than expected.
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Maybe(None)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for Any<T> {
    type Value = Maybe<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Maybe<T>, E> {
        Ok(Maybe(T::text(text)))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Maybe<T>, E> {
        Ok(Maybe(T::flag(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Maybe<T>, E> {
        Ok(Maybe(T::number(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Maybe<T>, E> {
        Ok(Maybe(T::number(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Maybe<T>, E> {
        Ok(Maybe(T::number(number)))
    }

    fn visit_unit<E>(self) -> Result<Maybe<T>, E> {
        Ok(Maybe(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Maybe<T>, A::Error> {
        T::list(list).map(Maybe)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Maybe<T>, A::Error> {
        T::object(object).map(Maybe)
    }
}

impl Shape<'_> for String {
    fn text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Shape<'_> for bool {
    fn flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

/// A duration or a count, which is never negative.
impl Shape<'_> for u64 {
    fn number(number: f64) -> Option<Self> {
        (number >= 0.0).then_some(number as u64)
    }

    fn text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A moment, in milliseconds since the Unix epoch: a number of these, or a text of RFC 3339.
#[derive(Clone, Copy)]
pub(super) struct Moment(pub(super) u64);

impl Shape<'_> for Moment {
    fn number(number: f64) -> Option<Self> {
        (number > 0.0).then_some(Moment(number as u64))
    }

    fn text(text: &str) -> Option<Self> {
        let moment = DateTime::parse_from_rfc3339(text).ok()?;
        moment.timestamp_millis().try_into().ok().map(Moment)
    }
}

impl<'de, T: Shape<'de>> Shape<'de> for Vec<T> {
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Vec::new();
        while let Some(Maybe(item)) = list.next_element::<Maybe<T>>()? {
            all.extend(item);
        }
        Ok(Some(all))
    }
}

/// Makes types that are read from an object, field by field, fit for [`Maybe`].
macro_rules! objects {
    ($($name:ty),+) => {$(
        impl<'de> $crate::agents::claude::lenient::Shape<'de> for $name {
            fn object<A: serde::de::MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
                use serde::de::{Deserialize, value::MapAccessDeserializer};
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    )+};
}
pub(super) use objects;

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Thing {
        name: Maybe<String>,
        count: Maybe<u64>,
        at: Maybe<Moment>,
        parts: Maybe<Vec<String>>,
        inner: Maybe<Inner>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        flag: Maybe<bool>,
    }
    objects!(Inner);

    fn read(text: &str) -> Thing {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_as_expected_is_nothing_and_the_rest_is_read() {
        let thing = read(
            r#"{"name":{"a":[1,{"b":null}]},"count":"many","at":-3,"parts":["a",1,null,["x"],"b"],"inner":7,"new":[]}"#,
        );
        assert!(thing.name.0.is_none() && thing.count.0.is_none() && thing.at.0.is_none());
        assert_eq!(thing.parts.0.unwrap(), ["a", "b"]);
        assert!(thing.inner.0.is_none());
        let thing = read(r#"{"name":"n","count":538.2,"inner":{"flag":true,"other":1}}"#);
        assert_eq!((thing.name.0.unwrap().as_str(), thing.count.0), ("n", Some(538)));
        assert_eq!(thing.inner.0.unwrap().flag.0, Some(true));
    }

    #[test]
    fn a_moment_is_milliseconds_or_rfc_3339() {
        let at = |text: &str| read(&format!(r#"{{"at":{text}}}"#)).at.0.map(|moment| moment.0);
        assert_eq!(at("1767225600123"), Some(1_767_225_600_123));
        assert_eq!(at(r#""2026-01-01T00:00:00.123Z""#), Some(1_767_225_600_123));
        assert_eq!(at(r#""2026-01-01T02:00:00.123+02:00""#), Some(1_767_225_600_123));
        assert_eq!(at(r#""yesterday""#), None);
        assert_eq!(at("null"), None);
        assert_eq!(at("1e300"), Some(u64::MAX));
    }
}
