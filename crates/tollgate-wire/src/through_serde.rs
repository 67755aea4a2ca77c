//! The owned types through serde, for other formats and for JSON inside of JSON.
//!
//! The rules of the fields are Go's here too: keys without regard to case, unknown and missing keys, `null` anywhere, repeated
//! keys (but what a repeated key cut off a slice does not come back with a third). What is a document at all is the deserializer's affair: `serde_json` refuses lone halves of surrogates, broken UTF-8
//! and more than 128 levels, all of which Go takes. [`crate::from_slice`] and [`crate::to_vec`] are exact.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::{Nanoseconds, Timestamp, base64};

/// A field that goes through serde as its Go counterpart goes through JSON.
pub(crate) trait ThroughSerde {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// Decodes over `self`, as [`crate::decode`] tells.
    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error>;
}

pub(crate) struct Shown<'v, T>(pub(crate) &'v T);

impl<T: ThroughSerde> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

pub(crate) struct Over<'v, T>(pub(crate) &'v mut T);

impl<'de, T: ThroughSerde> DeserializeSeed<'de> for Over<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.decode_over(deserializer)
    }
}

/// A visitor of scalars: the text or number is handed to the closure, `null` leaves the value alone.
struct Scalar<'v, T> {
    value: &'v mut T,
    expected: &'static str,
    text: fn(&str) -> Option<T>,
    integer: fn(i64) -> Option<T>,
}

impl<T> Visitor<'_> for Scalar<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        *self.value =
            (self.text)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        *self.value = (self.integer)(number)
            .ok_or_else(|| E::invalid_type(serde::de::Unexpected::Signed(number), &self))?;
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self)),
        }
    }
}

impl ThroughSerde for String {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let text = |text: &str| Some(text.to_owned());
        deserializer.deserialize_any(Scalar { value: self, expected: "a string", text, integer: |_| None })
    }
}

impl ThroughSerde for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = [0; 40];
        match self.write_quoted(&mut buffer) {
            Some(_) => serializer.collect_str(self),
            None => Err(serde::ser::Error::custom(crate::EncodeError(*self))),
        }
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let text = |text: &str| Timestamp::parse(text).ok();
        deserializer.deserialize_any(Scalar {
            value: self,
            expected: "a time as in RFC 3339",
            text,
            integer: |_| None,
        })
    }
}

impl ThroughSerde for Nanoseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let integer = |number| Some(Nanoseconds(number));
        deserializer.deserialize_any(Scalar {
            value: self,
            expected: "integer nanoseconds",
            text: |_| None,
            integer,
        })
    }
}

/// What a slice may hold: any field, and bytes, which are a field only together.
trait Element: Default {
    fn element_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error>;
}

impl<T: ThroughSerde + Default> Element for T {
    fn element_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        self.decode_over(deserializer)
    }
}

impl Element for u8 {
    fn element_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let integer = |number| u8::try_from(number).ok();
        deserializer.deserialize_any(Scalar {
            value: self,
            expected: "an integer from 0 to 255",
            text: |_| None,
            integer,
        })
    }
}

struct OverElement<'v, T>(&'v mut T);

impl<'de, T: Element> DeserializeSeed<'de> for OverElement<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.element_over(deserializer)
    }
}

/// A slice: `null` makes it nil, an array goes over what is there, and a string is for bytes alone.
struct Slice<'v, T> {
    slice: &'v mut Option<Vec<T>>,
    expected: &'static str,
    text: fn(&str) -> Option<Vec<T>>,
}

impl<'de, T: Element> Visitor<'de> for Slice<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.slice = None;
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let decoded =
            (self.text)(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        *self.slice = Some(decoded);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let slots = self.slice.get_or_insert_default();
        let mut n_elements = 0;
        loop {
            let mut fresh = T::default();
            let slot = slots.get_mut(n_elements).unwrap_or(&mut fresh);
            if elements.next_element_seed(OverElement(slot))?.is_none() {
                slots.truncate(n_elements);
                return Ok(());
            }
            if n_elements == slots.len() {
                slots.push(fresh);
            }
            n_elements += 1;
        }
    }
}

impl ThroughSerde for Option<Vec<u8>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            None => serializer.serialize_none(),
            Some(bytes) => {
                let mut text = Vec::new();
                base64::encode(bytes, &mut text);
                serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
            }
        }
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Slice { slice: self, expected: base64::EXPECTED, text: base64::decode })
    }
}

impl<T: ThroughSerde + Default> ThroughSerde for Option<Vec<T>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            None => serializer.serialize_none(),
            Some(elements) => serializer.collect_seq(elements.iter().map(Shown)),
        }
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Slice { slice: self, expected: "an array", text: |_| None })
    }
}

impl<T: ThroughSerde + Default> ThroughSerde for Vec<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Shown))
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let mut slice = Some(std::mem::take(self));
        slice.decode_over(deserializer)?;
        *self = slice.unwrap_or_default();
        Ok(())
    }
}

/// A map: `null` makes it nil, an object is merged into it.
struct Map<'v, T>(&'v mut Option<BTreeMap<String, T>>);

impl<'de, T: ThroughSerde + Default> Visitor<'de> for Map<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        *self.0 = None;
        Ok(())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.visit_unit()
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let map = self.0.get_or_insert_default();
        while let Some(key) = members.next_key::<String>()? {
            let mut value = T::default();
            members.next_value_seed(Over(&mut value))?;
            map.insert(key, value);
        }
        Ok(())
    }
}

impl<T: ThroughSerde + Default> ThroughSerde for Option<BTreeMap<String, T>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            None => serializer.serialize_none(),
            Some(map) => serializer.collect_map(map.iter().map(|(key, value)| (key, Shown(value)))),
        }
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Map(self))
    }
}

impl<T: ThroughSerde + Default> ThroughSerde for BTreeMap<String, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(key, value)| (key, Shown(value))))
    }

    fn decode_over<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let mut map = Some(std::mem::take(self));
        map.decode_over(deserializer)?;
        *self = map.unwrap_or_default();
        Ok(())
    }
}

/// Serde's own traits for a type that goes [`ThroughSerde`].
macro_rules! serde_traits {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ThroughSerde::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut value = Self::default();
                value.decode_over(deserializer)?;
                Ok(value)
            }
        }
    };
}
pub(crate) use serde_traits;

serde_traits!(Timestamp);
serde_traits!(Nanoseconds);

/// A Go struct through serde; the table is that of [`crate::fields`].
macro_rules! serde_struct {
    ($type:ident { $($name:literal: $field:ident $(($omit:ident))?),+ $(,)? }) => {
        impl ThroughSerde for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let n_fields = [$(through_serde::serde_struct!(@present self.$field $(($omit))?)),+];
                let n_fields = n_fields.into_iter().filter(|present| *present).count();
                let mut members = serializer.serialize_struct(stringify!($type), n_fields)?;
                $(if through_serde::serde_struct!(@present self.$field $(($omit))?) {
                    members.serialize_field($name, &through_serde::Shown(&self.$field))?;
                } else {
                    members.skip_field($name)?;
                })+
                members.end()
            }

            fn decode_over<'de, D: serde::Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
                struct Members<'v>(&'v mut $type);

                impl<'de> serde::de::Visitor<'de> for Members<'_> {
                    type Value = ();

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_unit<E>(self) -> Result<(), E> {
                        Ok(())
                    }

                    fn visit_none<E>(self) -> Result<(), E> {
                        Ok(())
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
                        while let Some(key) = members.next_key::<String>()? {
                            // The exact name outranks those that differ in case, but no two fields fold to one name.
                            $(if names_field(&key, $name) {
                                members.next_value_seed(through_serde::Over(&mut self.0.$field))?;
                                continue;
                            })+
                            members.next_value::<serde::de::IgnoredAny>()?;
                        }
                        Ok(())
                    }
                }

                deserializer.deserialize_any(Members(self))
            }
        }

        through_serde::serde_traits!($type);
    };

    (@present $self:ident.$field:ident) => { true };
    (@present $self:ident.$field:ident ($omit:ident)) => { !$self.$field.is_empty() };
}
pub(crate) use serde_struct;

/// A Go map type through serde.
macro_rules! serde_map {
    ($type:ident) => {
        impl ThroughSerde for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ThroughSerde::serialize(&self.0, serializer)
            }

            fn decode_over<'de, D: serde::Deserializer<'de>>(
                &mut self,
                deserializer: D,
            ) -> Result<(), D::Error> {
                self.0.decode_over(deserializer)
            }
        }

        impl ThroughSerde for Option<$type> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    None => serializer.serialize_none(),
                    Some(map) => ThroughSerde::serialize(map, serializer),
                }
            }

            fn decode_over<'de, D: serde::Deserializer<'de>>(
                &mut self,
                deserializer: D,
            ) -> Result<(), D::Error> {
                let mut map = self.take().map(|map| map.0);
                map.decode_over(deserializer)?;
                *self = map.map($type);
                Ok(())
            }
        }

        through_serde::serde_traits!($type);
    };
}
pub(crate) use serde_map;
