/// A protobuf message of the few kinds of fields that Envoy's foreign functions take.
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds field `number`, 1 to 15: a string or bytes.
    pub(crate) fn bytes(&mut self, number: u8, value: &[u8]) {
        self.0.push(number << 3 | 2);
        self.varint(value.len());
        self.0.extend_from_slice(value);
    }

    /// Adds field `number`, 1 to 15: an enum.
    pub(crate) fn number(&mut self, number: u8, value: usize) {
        self.0.push(number << 3);
        self.varint(value);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_tagged_and_long_ones_have_a_long_length() {
        let mut message = Message::with_capacity(0);
        message.bytes(1, b"ab");
        message.number(3, 1);
        message.bytes(15, &[7; 300]);
        let bytes = message.as_bytes();
        assert_eq!(bytes[..6], [0x0a, 2, b'a', b'b', 0x18, 1]);
        assert_eq!(bytes[6..10], [0x7a, 0xac, 0x02, 7]);
        assert_eq!(bytes.len(), 6 + 3 + 300);
    }
}
