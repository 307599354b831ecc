//! What the groups took: Pike's simulation, threads in order of preference. Bounded by instructions times bytes.

use super::automaton::{Around, holds};
use super::program::{Instruction, Program};

/// One way through the program, and the positions it has noted.
#[derive(Clone)]
struct Thread {
    at: u32,
    noted: Vec<Option<usize>>,
}

/// What each group took if the whole of `value` matches.
pub(super) fn find<'v>(program: &Program, groups: usize, value: &'v [u8]) -> Option<Vec<Option<&'v [u8]>>> {
    let mut threads = vec![Thread { at: 0, noted: vec![None; groups * 2] }];
    let mut seen = vec![usize::MAX; program.instructions.len()];
    for position in 0..=value.len() {
        let around = Around {
            before: position.checked_sub(1).and_then(|before| value.get(before)).copied(),
            after: value.get(position).copied(),
        };
        let settled = follow(program, threads, position, around, &mut seen);
        let Some(byte) = around.after else {
            let best = settled.into_iter().find(|thread| {
                matches!(program.instructions.get(thread.at as usize), Some(Instruction::Match(_)))
            })?;
            let (ends, _) = best.noted.as_chunks::<2>();
            return Some(ends.iter().map(|[from, to]| value.get((*from)?..(*to)?)).collect());
        };
        threads = settled;
        threads.retain_mut(|thread| match program.instructions.get(thread.at as usize) {
            Some(Instruction::Take(set, next)) => {
                thread.at = *next;
                program.sets.get(*set as usize).is_some_and(|set| set.contains(byte))
            }
            _ => false,
        });
    }
    None
}

/// Follows what takes no byte; each instruction is reached once, by the most preferred thread.
fn follow(
    program: &Program,
    threads: Vec<Thread>,
    position: usize,
    around: Around,
    seen: &mut [usize],
) -> Vec<Thread> {
    let mut settled = Vec::new();
    // A stack: the most preferred thread is on top.
    let mut open = threads;
    open.reverse();
    while let Some(mut thread) = open.pop() {
        match seen.get_mut(thread.at as usize) {
            Some(mark) if *mark != position => *mark = position,
            _ => continue,
        }
        match program.instructions.get(thread.at as usize) {
            Some(Instruction::Jump(next)) => {
                thread.at = *next;
                open.push(thread);
            }
            Some(Instruction::Split(first, second)) => {
                open.push(Thread { at: *second, noted: thread.noted.clone() });
                thread.at = *first;
                open.push(thread);
            }
            Some(Instruction::Save(place, next)) => {
                if let Some(noted) = thread.noted.get_mut(*place as usize) {
                    *noted = Some(position);
                }
                thread.at = *next;
                open.push(thread);
            }
            Some(Instruction::Assert(assert, next)) if holds(*assert, around) => {
                thread.at = *next;
                open.push(thread);
            }
            Some(Instruction::Take(..) | Instruction::Match(_)) => settled.push(thread),
            Some(Instruction::Assert(..)) | None => {}
        }
    }
    settled
}
