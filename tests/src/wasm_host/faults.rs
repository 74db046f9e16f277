//! What goes wrong at which host call.

use super::abi;
use super::draw::Draw;
use super::status;

/// What goes wrong at one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is not carried out and answers this status.
    Status(u32),
    /// The call gives these bytes in place of its own.
    Bytes(Vec<u8>),
    /// The call gives this number in place of its own.
    Number(u64),
    /// The call gives a null pointer and says that it points to so many bytes.
    Null(u32),
    /// The call allocates and says that there are no bytes.
    Nothing,
    /// The call says that its bytes go on for so many more. Rust frees such bytes with a size that
    /// they were not allocated with, which no module can find out beforehand.
    Longer(u32),
    /// The call says that its bytes go on to the end of the memory; see [`Fault::Longer`].
    WholeMemory,
}

/// Which calls go wrong.
#[derive(Clone, Debug, Default)]
pub enum Faults {
    /// None.
    #[default]
    Never,
    /// The call with this number, counted from 0 over [`super::Host::calls`].
    At(usize, Fault),
    /// Every call of this function.
    Of(&'static str, Fault),
    /// One call in so many, in a way that Envoy could answer or that the module can find out.
    Random(Draw, usize),
}

impl Faults {
    pub(super) fn of_call(&mut self, number: usize, function: &'static str) -> Option<Fault> {
        match self {
            Self::Never => None,
            Self::At(at, fault) => (*at == number).then(|| fault.clone()),
            Self::Of(name, fault) => (*name == function).then(|| fault.clone()),
            Self::Random(draw, one_in) => {
                if draw.below(*one_in) == 0 {
                    random(draw, function)
                } else {
                    None
                }
            }
        }
    }
}

/// Bytes that no function of the ABI gives.
pub fn junk() -> Vec<Vec<u8>> {
    let lying_map = |count: u32, sizes: u32| {
        let mut map = count.to_le_bytes().to_vec();
        map.extend(sizes.to_le_bytes());
        map.extend(sizes.to_le_bytes());
        map.extend_from_slice(b"ab");
        map
    };
    vec![
        Vec::new(),
        vec![0],
        vec![1, 0],
        vec![0xff; 3],
        vec![0xff; 4],
        vec![0xff; 64],
        b"\xc3\x28 \xf0\x28\x8c\xbc".to_vec(),
        lying_map(1, u32::MAX),
        lying_map(1, 0x7fff_ffff),
        lying_map(1, 100),
        lying_map(u32::MAX, 1),
        lying_map(0x1fff_ffff, 1),
        // A protobuf field that is longer than the message, and a varint without an end.
        vec![0x0a, 0x7f, 1],
        vec![0x08, 0x80, 0x80],
        vec![b'A'; 70_000],
    ]
}

fn random(draw: &mut Draw, function: &'static str) -> Option<Fault> {
    if function == "proxy_get_current_time_nanoseconds" {
        return Some(Fault::Number(draw.number()));
    }
    let answers = status::answers(function);
    let bytes = abi::gives_bytes(function);
    match draw.below(4) {
        0 if bytes => Some(Fault::Bytes(draw.bytes(200))),
        1 if bytes => Some(Fault::Null(draw.number() as u32)),
        2 if bytes => Some(Fault::Nothing),
        _ if answers.is_empty() => None,
        _ => Some(Fault::Status(*draw.one_of(answers))),
    }
}
