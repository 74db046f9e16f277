use std::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The texts of a policy, each once, with a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols {
    texts: Vec<Box<str>>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Symbols {
    pub(super) fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.get(text) {
            return number;
        }
        let number = self.texts.len() as u32;
        self.texts.push(text.into());
        let (texts, hasher) = (&self.texts, &self.hasher);
        let hash = |number: &u32| hasher.hash_one(text_of(texts, *number));
        self.numbers
            .insert_unique(hasher.hash_one(text), number, hash);
        number
    }

    pub(super) fn get(&self, text: &str) -> Option<u32> {
        let is_it = |number: &u32| {
            self.texts
                .get(*number as usize)
                .is_some_and(|own| **own == *text)
        };
        self.numbers
            .find(self.hasher.hash_one(text), is_it)
            .copied()
    }

    pub(super) fn text(&self, number: u32) -> &str {
        text_of(&self.texts, number)
    }

    /// The bytes it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len()).sum();
        texts + self.texts.capacity() * size_of::<Box<str>>() + self.numbers.allocation_size()
    }
}

fn text_of(texts: &[Box<str>], number: u32) -> &str {
    texts
        .get(number as usize)
        .map(AsRef::as_ref)
        .unwrap_or_default()
}
