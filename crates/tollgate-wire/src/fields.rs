//! The table of names: which field of which type has which key, and which are left out when empty.
//!
//! One table a type serves both directions, and both the owned and the borrowed form.

use crate::decode::{DecodeOver, members, names_field};
use crate::encode::{Encode, EncodeError};
use crate::fault::Fault;
use crate::parser::{Next, Parser};
use crate::through_serde::{self, ThroughSerde};
use crate::view::{BatchRef, MetricRef};
use crate::{
    EnvResponse, EnvironmentResponses, MeterStatus, Metric, MetricBatch, ModelStatus, Response, UnitStatus,
    UserResponse, UserResponses, UserStatusResponse,
};

/// A Go struct and, behind `=`, its borrowed form: the keys in the order in which Go writes them.
macro_rules! go_struct {
    ($type:ident = $borrowed:ident $fields:tt) => {
        go_struct!($type $fields);
        go_struct!(@json ['a] $borrowed<'a> $fields);
    };

    ($type:ident $fields:tt) => {
        go_struct!(@json ['a] $type $fields);
        through_serde::serde_struct!($type $fields);
    };

    (@json [$a:lifetime] $type:ty { $($name:literal: $field:ident $(($omit:ident))?),+ $(,)? }) => {
        impl<$a> DecodeOver<$a> for $type {
            type Memory = ();

            fn decode(&mut self, (): &mut (), parser: &mut Parser<$a>) -> Result<(), Fault> {
                match parser.value_start()? {
                    b'{' => {}
                    b'n' => return parser.stray_null(),
                    _ => return Err(parser.mismatch(parser.position(), "an object")),
                }
                const N_ALWAYS: u32 = 0 $(+ go_struct!(@always $($omit)?))+;
                let mut n_always = 0;
                $(let mut $field = Default::default();)+
                let mut decode = || {
                    if parser.open(b'}')? == Next::End {
                        parser.strays();
                        return Ok(());
                    }
                    // Keys that come as Go writes them, in its order and without space: no need to look at them closer.
                    $(if parser.take(concat!("\"", $name, "\":").as_bytes()) {
                        self.$field.decode(&mut $field, parser).map_err(|fault| fault.in_field($name))?;
                        n_always += go_struct!(@always $($omit)?);
                        $(if go_struct!(@omitted self, $field, $omit) {
                            parser.strays();
                        })?
                        if parser.separator(b'}')? == Next::End {
                            if n_always < N_ALWAYS {
                                parser.strays();
                            }
                            return Ok(());
                        }
                    })+
                    parser.strays();
                    members(parser, |parser, key| {
                        $(if key == $name {
                            return self.$field.decode(&mut $field, parser).map_err(|fault| fault.in_field($name));
                        })+
                        $(if names_field(&key, $name) {
                            return self.$field.decode(&mut $field, parser).map_err(|fault| fault.in_field($name));
                        })+
                        parser.skip_value()
                    })
                };
                decode()?;
                $(self.$field.settle($field);)+
                Ok(())
            }
        }

        impl<$a> Encode for $type {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                let start = out.len();
                $(go_struct!(@member self, out, $name, $field $(($omit))?);)+
                if out.len() == start {
                    out.push(b'{');
                } else {
                    // Each member was written with a comma before it.
                    out[start] = b'{';
                }
                out.push(b'}');
                Ok(())
            }
        }
    };

    // How many members Go writes for the field whatever its value.
    (@always) => { 1 };
    (@always $omit:ident) => { 0 };
    (@omitted $self:ident, $field:ident, $omit:ident) => { Encode::is_empty(&$self.$field) };

    (@member $self:ident, $out:ident, $name:literal, $field:ident) => {
        $out.extend_from_slice(if quoted(&$self.$field) {
            concat!(",\"", $name, "\":\"").as_bytes()
        } else {
            concat!(",\"", $name, "\":").as_bytes()
        });
        $self.$field.encode_unopened($out)?;
    };
    (@member $self:ident, $out:ident, $name:literal, $field:ident ($omit:ident)) => {
        if !$self.$field.is_empty() {
            go_struct!(@member $self, $out, $name, $field);
        }
    };
}

/// Whether the field's JSON starts with a quote.
#[inline]
fn quoted<T: Encode>(_field: &T) -> bool {
    T::QUOTED
}

/// A Go map type, declared under a name of its own; `None` is nil.
macro_rules! go_map {
    ($type:ident) => {
        impl<'a> DecodeOver<'a> for Option<$type> {
            type Memory = ();

            fn decode(&mut self, (): &mut (), parser: &mut Parser<'a>) -> Result<(), Fault> {
                if parser.value_start()? == b'n' {
                    *self = None;
                    return parser.null();
                }
                self.get_or_insert_default().0.decode(&mut (), parser)
            }
        }

        impl Encode for Option<$type> {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                match self {
                    None => out.extend_from_slice(b"null"),
                    Some(map) => map.encode(out)?,
                }
                Ok(())
            }
        }

        impl Encode for $type {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                self.0.encode(out)
            }
        }

        through_serde::serde_map!($type);
    };
}

go_struct!(MetricBatch = BatchRef {
    "uuid": uuid,
    "env-uuid": model_uuid,
    "model-name": model_name,
    "unit-name": unit_name,
    "charm-url": charm_url,
    "created": created,
    "metrics": metrics,
    "credentials": credentials,
    "reseller-credentials": reseller_credentials,
    "sla-credentials": sla_credentials,
});

go_struct!(Metric = MetricRef {
    "key": key,
    "value": value,
    "time": time,
    "labels": labels (omitempty),
});

go_struct!(Response {
    "uuid": uuid,
    "env-responses": env_responses,
    "new-grace-period": new_grace_period,
});

go_map!(EnvironmentResponses);

go_struct!(EnvResponse {
    "acks": acks (omitempty),
    "model-status": model_status,
    "unit-statuses": unit_statuses (omitempty),
});

go_struct!(ModelStatus {
    "status": status,
    "info": info,
});

go_struct!(UnitStatus {
    "status": status,
    "info": info,
});

go_struct!(UserStatusResponse {
    "uuid": uuid,
    "user-responses": user_responses,
});

go_map!(UserResponses);

go_struct!(UserResponse {
    "status": status,
    "acks": acks (omitempty),
});

go_struct!(MeterStatus {
    "status": status,
    "info": info,
});
