//! The wire form of a protobuf message, read field by field without its type.

use sandgate_proto::Problem;

use crate::problem::Result;

fn malformed() -> Problem {
    Problem::invalid_field(
        "message",
        "the bytes are not a protobuf message; check that client and gateway use the same contract",
    )
}

/// One field.
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
}

/// What a field holds, as far as it matters to anybody here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of a fixed width; walked over.
    Fixed,
}

impl<'a> Value<'a> {
    /// The bytes of a length-delimited field.
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The fields of a message, in the order in which they were sent.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next field; none at the end.
    ///
    /// # Errors
    /// Where the rest is no protobuf message.
    pub(crate) fn field(&mut self) -> Result<Option<Field<'a>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| malformed())?;
        let number = key >> 3;
        if number == 0 {
            return Err(malformed());
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| malformed())?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups: the contract has none, and a decoder that met one might read on differently.
            _ => return Err(malformed()),
        };
        Ok(Some(Field { number, value }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// At most ten bytes, of which the last holds one bit: as strict as any decoder behind us.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(malformed())
    }
}

/// The text of an id that may occur once only: protobuf lets the last one win, so a reader that took
/// another would authorise one thing while the decoder uses another. An empty value counts too.
pub(crate) fn once<'a>(
    id: &mut Option<&'a str>,
    value: Value<'a>,
    name: &'static str,
) -> Result<()> {
    let text = text(value, name)?;
    match id.replace(text) {
        None => Ok(()),
        Some(_) => Err(Problem::invalid_field(
            name,
            "occurs twice in the message; send it once",
        )),
    }
}

/// A field that has to be text.
pub(crate) fn text<'a>(value: Value<'a>, name: &'static str) -> Result<&'a str> {
    let bytes = value.bytes().ok_or_else(|| wrong_type(name))?;
    std::str::from_utf8(bytes).map_err(|_| Problem::invalid_field(name, "must be valid UTF-8"))
}

/// A field of another wire type than the contract says.
pub(crate) fn wrong_type(name: &'static str) -> Problem {
    Problem::invalid_field(name, "has the wrong type on the wire")
}
