//! Shared data and queues.

use super::calls::Answer;
use super::host::Shared;
use super::link::{Given, Passed};
use super::status;

pub(super) fn carry_out(shared: &mut Shared, function: &str, passed: &Passed) -> Answer {
    let number = |index: usize| passed.numbers.get(index).copied().unwrap_or_default();
    let bytes = |index: usize| {
        passed
            .bytes
            .get(index)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    match function {
        "proxy_get_shared_data" => {
            let (value, change) = shared.data.get(bytes(0)).ok_or(status::NOT_FOUND)?;
            let change = u64::from(*change);
            Ok(vec![Given::Bytes(value.clone()), Given::Number(change)])
        }
        "proxy_set_shared_data" => shared.set(bytes(0), bytes(1), number(0) as u32),
        "proxy_register_shared_queue" => {
            let queue = match shared.queue(bytes(0)) {
                Some(queue) => queue,
                None => {
                    shared.queues.push((bytes(0).to_vec(), Default::default()));
                    shared.queues.len()
                }
            };
            Ok(vec![Given::Number(queue as u64)])
        }
        "proxy_resolve_shared_queue" => {
            // The name of the virtual machine is empty: there is one.
            let queue = shared.queue(bytes(1)).filter(|_| bytes(0).is_empty());
            let queue = queue.ok_or(status::NOT_FOUND)?;
            Ok(vec![Given::Number(queue as u64)])
        }
        "proxy_dequeue_shared_queue" => {
            let queue = shared.queue_mut(number(0)).ok_or(status::NOT_FOUND)?;
            let value = queue.pop_front().ok_or(status::EMPTY)?;
            Ok(vec![Given::Bytes(value)])
        }
        "proxy_enqueue_shared_queue" => {
            let queue = shared.queue_mut(number(0)).ok_or(status::NOT_FOUND)?;
            queue.push_back(bytes(0).to_vec());
            Ok(Vec::new())
        }
        // The ABI's list and this one differ: the test that meets it has to fail.
        other => panic!("the host does not carry out `{other}`"),
    }
}

impl Shared {
    /// `change` is the number of the value that is to be replaced, 0 for any.
    fn set(&mut self, key: &[u8], value: &[u8], change: u32) -> Answer {
        if let Some((_, own)) = self.data.get(key)
            && change != 0
            && change != *own
        {
            return Err(status::CAS_MISMATCH);
        }
        self.changes = self.changes.wrapping_add(1).max(1);
        self.data
            .insert(key.to_vec(), (value.to_vec(), self.changes));
        Ok(Vec::new())
    }

    fn queue(&self, name: &[u8]) -> Option<usize> {
        let place = self.queues.iter().position(|(own, _)| own == name)?;
        Some(place + 1)
    }

    fn queue_mut(&mut self, number: u64) -> Option<&mut std::collections::VecDeque<Vec<u8>>> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        self.queues.get_mut(place).map(|(_, values)| values)
    }
}
