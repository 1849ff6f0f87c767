//! The scan against the real decoder, on messages that a caller might send and on garbage.

use proptest::prelude::*;
use prost::Message as _;
use sandgate_proto::{Reason, v1::ExecRequest};

use super::*;

const EXEC: Shape = Shape {
    execution_id: true,
    secret_env: true,
};

/// A field on the wire, of any kind.
#[derive(Clone, Debug)]
enum Wire {
    Varint(u32, u64),
    Fixed64(u32, u64),
    Bytes(u32, Vec<u8>),
    Fixed32(u32, u32),
}

impl Wire {
    fn put(&self, out: &mut Vec<u8>) {
        let key =
            |out: &mut Vec<u8>, number: u32, kind: u32| varint(out, u64::from(number << 3 | kind));
        match self {
            Self::Varint(number, value) => {
                key(out, *number, 0);
                varint(out, *value);
            }
            Self::Fixed64(number, value) => {
                key(out, *number, 1);
                out.extend(value.to_le_bytes());
            }
            Self::Bytes(number, value) => {
                key(out, *number, 2);
                varint(out, value.len() as u64);
                out.extend(value);
            }
            Self::Fixed32(number, value) => {
                key(out, *number, 5);
                out.extend(value.to_le_bytes());
            }
        }
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(fields: &[Wire]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|field| field.put(&mut out));
    out
}

fn any_field() -> impl Strategy<Value = Wire> {
    let number = prop_oneof![1u32..8, 900u32..1100, 1u32..(1 << 29)];
    number.prop_flat_map(|number| {
        prop_oneof![
            any::<u64>().prop_map(move |value| Wire::Varint(number, value)),
            any::<u64>().prop_map(move |value| Wire::Fixed64(number, value)),
            any::<u32>().prop_map(move |value| Wire::Fixed32(number, value)),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(move |value| Wire::Bytes(number, value)),
            "[a-z@-]{0,12}".prop_map(move |value| Wire::Bytes(number, value.into_bytes())),
        ]
    })
}

fn refused(message: &[u8]) -> String {
    let problem = scan(message, EXEC).unwrap_err();
    assert_eq!(problem.reason(), Reason::InvalidField);
    problem.fields()[0].0.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever the scan lets through, the decoder behind it reads the same ids from.
    #[test]
    fn what_passes_means_the_same_to_the_decoder(fields in prop::collection::vec(any_field(), 0..12)) {
        let message = bytes(&fields);
        if let (Ok(ids), Ok(decoded)) = (scan(&message, EXEC), ExecRequest::decode(message.as_slice())) {
            prop_assert_eq!(ids.session_id, decoded.session_id);
            prop_assert_eq!(ids.sandbox_id, decoded.sandbox_id);
            prop_assert_eq!(ids.execution_id, decoded.execution_id);
            prop_assert!(decoded.gateway_payload.is_empty());
            for secret in decoded.secret_env.values() {
                prop_assert!(ids.secrets.iter().any(|(_, name)| name == secret));
            }
        }
    }

    /// No bytes at all make it panic, and it never lets a broken message pass as an empty one.
    #[test]
    fn garbage_is_refused_or_well_formed(message in prop::collection::vec(any::<u8>(), 0..200)) {
        if scan(&message, EXEC).is_ok() {
            let mut rest = Reader(&message);
            while rest.field().unwrap().is_some() {}
        }
    }

    /// A real request always passes, wherever its ids stand.
    #[test]
    fn a_real_request_passes(
        session in "[0-9a-f-]{36}", sandbox in "[0-9a-f-]{36}", execution in "[a-z]{0,20}",
        command in ".{0,200}", secret in "[A-Z]{1,10}", stdin in prop::collection::vec(any::<u8>(), 0..200),
        turn in 0usize..5,
    ) {
        let mut fields = vec![
            Wire::Bytes(1, session.clone().into_bytes()),
            Wire::Bytes(2, sandbox.clone().into_bytes()),
            Wire::Bytes(3, execution.clone().into_bytes()),
            Wire::Bytes(4, bytes(&[Wire::Bytes(1, b"NAME".to_vec()), Wire::Bytes(2, secret.clone().into_bytes())])),
            Wire::Bytes(5, command.into_bytes()),
            Wire::Bytes(99, stdin),
        ];
        fields.rotate_left(turn);
        let message = bytes(&fields);
        let ids = scan(&message, EXEC).unwrap();
        prop_assert_eq!(ids, Ids {
            session_id: &session, sandbox_id: &sandbox, execution_id: &execution, secrets: vec![("NAME", &secret)],
        });
    }

    /// Cut anywhere inside its last field, a message is refused.
    #[test]
    fn a_truncated_message_is_refused(length in 1usize..60, cut in 1usize..60) {
        let message = bytes(&[Wire::Bytes(5, vec![b'x'; length])]);
        let cut = cut.min(message.len() - 1);
        prop_assert!(scan(&message[..message.len() - cut], EXEC).is_err() || cut == message.len());
    }
}

#[test]
fn an_id_that_occurs_twice_is_refused() {
    for (number, name) in [(1, "session_id"), (2, "sandbox_id"), (3, "execution_id")] {
        let message = bytes(&[
            Wire::Bytes(number, b"a".to_vec()),
            Wire::Bytes(5, vec![]),
            Wire::Bytes(number, b"b".to_vec()),
        ]);
        assert_eq!(refused(&message), name);
    }
}

#[test]
fn an_empty_second_id_would_win_and_is_refused() {
    let message = bytes(&[Wire::Bytes(2, b"a".to_vec()), Wire::Bytes(2, vec![])]);
    assert_eq!(refused(&message), "sandbox_id");
}

#[test]
fn an_id_under_an_overlong_key_counts_all_the_same() {
    let mut message = bytes(&[Wire::Bytes(1, b"a".to_vec())]);
    message.extend([0x8a, 0x00, 1, b'b']);
    assert_eq!(refused(&message), "session_id");
}

#[test]
fn the_gateways_own_field_is_refused_in_any_form() {
    assert_eq!(
        refused(&bytes(&[Wire::Bytes(1000, vec![1])])),
        "gateway_payload"
    );
    assert_eq!(refused(&bytes(&[Wire::Varint(1000, 1)])), "gateway_payload");
}

#[test]
fn ids_of_the_wrong_type_and_groups_are_refused() {
    assert_eq!(refused(&bytes(&[Wire::Varint(1, 1)])), "session_id");
    assert_eq!(refused(&bytes(&[Wire::Bytes(2, vec![0xff])])), "sandbox_id");
    assert_eq!(refused(&[0x4b, 0x4c]), "message");
    assert_eq!(refused(&[0x00, 0x01]), "message");
    assert_eq!(refused(&[0xff; 11]), "message");
}

#[test]
fn fields_three_and_four_mean_nothing_where_the_rpc_has_none() {
    let plain = Shape {
        execution_id: false,
        secret_env: false,
    };
    let message = bytes(&[
        Wire::Bytes(3, b"open".to_vec()),
        Wire::Bytes(3, b"again".to_vec()),
        Wire::Varint(4, 1),
    ]);
    assert_eq!(scan(&message, plain).unwrap(), Ids::default());
}
