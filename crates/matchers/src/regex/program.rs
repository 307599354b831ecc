//! Instructions that say what an expression says (Thompson's construction).

use super::RegexError;
use super::parse::{Assert, Ast};
use super::set::ByteSet;

/// One instruction. Targets are positions in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Takes one byte of the set with this number.
    Take(u32, u32),
    /// Goes on at both, the first preferred.
    Split(u32, u32),
    /// Goes on there.
    Jump(u32),
    /// Goes on there if it holds between the bytes before and after.
    Assert(Assert, u32),
    /// Notes the position: `2n` and `2n + 1` are the ends of group `n + 1`.
    Save(u32, u32),
    /// The value matches if it ends here. The number says which expression does.
    Match(u32),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(super) instructions: Vec<Instruction>,
    pub(super) sets: Vec<ByteSet>,
    work: usize,
}

/// Most instructions of one expression; what compiling may visit is bounded alike, since `(?:){1000}` makes none.
const MOST: usize = 4_096;

impl Program {
    pub(super) fn new(ast: &Ast) -> Result<Self, RegexError> {
        let mut program = Self::default();
        program.compile(ast)?;
        program.push(Instruction::Match(0))?;
        Ok(program)
    }

    /// The shortest value that leads to a match if all assertions hold.
    pub(super) fn sample(&self) -> Option<Vec<u8>> {
        let mut seen = vec![false; self.instructions.len()];
        // Breadth first: instructions, each with the value that leads there.
        let mut open = std::collections::VecDeque::from([(0, Vec::new())]);
        while let Some((at, mut value)) = open.pop_front() {
            match seen.get_mut(at as usize) {
                Some(mark) if !*mark => *mark = true,
                _ => continue,
            }
            match self.instructions.get(at as usize)? {
                Instruction::Match(_) => return Some(value),
                Instruction::Take(set, next) => {
                    value.push(self.sets.get(*set as usize)?.sample()?);
                    open.push_back((*next, value));
                }
                Instruction::Split(first, second) => {
                    open.push_front((*second, value.clone()));
                    open.push_front((*first, value));
                }
                Instruction::Jump(next) | Instruction::Assert(_, next) | Instruction::Save(_, next) => {
                    open.push_front((*next, value));
                }
            }
        }
        None
    }

    fn here(&self) -> u32 {
        u32::try_from(self.instructions.len()).unwrap_or(u32::MAX)
    }

    fn push(&mut self, instruction: Instruction) -> Result<usize, RegexError> {
        let position = self.instructions.len();
        if position >= MOST {
            return Err(RegexError::TooLarge);
        }
        self.instructions.push(instruction);
        Ok(position)
    }

    fn patch(&mut self, position: usize, instruction: Instruction) {
        if let Some(place) = self.instructions.get_mut(position) {
            *place = instruction;
        }
    }

    fn compile(&mut self, ast: &Ast) -> Result<(), RegexError> {
        self.work += 1;
        if self.work > 4 * MOST {
            return Err(RegexError::TooLarge);
        }
        let next = self.here() + 1;
        match ast {
            Ast::Empty => {}
            Ast::Set(set) => {
                let number = self.sets.iter().position(|known| known == set).unwrap_or_else(|| {
                    self.sets.push(*set);
                    self.sets.len() - 1
                });
                self.push(Instruction::Take(u32::try_from(number).unwrap_or(u32::MAX), next))?;
            }
            Ast::Assert(assert) => {
                self.push(Instruction::Assert(*assert, next))?;
            }
            Ast::Concat(parts) => {
                for part in parts {
                    self.compile(part)?;
                }
            }
            Ast::Alternate(ways) => self.alternate(ways)?,
            Ast::Group(inner, number) => {
                let first = u32::try_from((number - 1) * 2).unwrap_or(u32::MAX - 1);
                self.push(Instruction::Save(first, next))?;
                self.compile(inner)?;
                let next = self.here() + 1;
                self.push(Instruction::Save(first + 1, next))?;
            }
            Ast::Repeat { of, least, most, lazy } => {
                for _ in 0..*least {
                    self.compile(of)?;
                }
                match most {
                    None => self.any_times(of, *lazy)?,
                    Some(most) => self.up_to(of, most - least, *lazy)?,
                }
            }
        }
        Ok(())
    }

    fn alternate(&mut self, ways: &[Ast]) -> Result<(), RegexError> {
        let mut ends = Vec::new();
        for (index, way) in ways.iter().enumerate() {
            let last = index + 1 == ways.len();
            let split = if last { None } else { Some(self.push(Instruction::Jump(0))?) };
            let start = self.here();
            self.compile(way)?;
            if let Some(split) = split {
                ends.push(self.push(Instruction::Jump(0))?);
                let after = self.here();
                self.patch(split, Instruction::Split(start, after));
            }
        }
        let after = self.here();
        for end in ends {
            self.patch(end, Instruction::Jump(after));
        }
        Ok(())
    }

    fn any_times(&mut self, of: &Ast, lazy: bool) -> Result<(), RegexError> {
        let start = self.here();
        let split = self.push(Instruction::Jump(0))?;
        self.compile(of)?;
        self.push(Instruction::Jump(start))?;
        let after = self.here();
        self.patch(split, choice(start + 1, after, lazy));
        Ok(())
    }

    fn up_to(&mut self, of: &Ast, times: u32, lazy: bool) -> Result<(), RegexError> {
        let mut splits = Vec::new();
        for _ in 0..times {
            let split = self.push(Instruction::Jump(0))?;
            splits.push((split, self.here()));
            self.compile(of)?;
        }
        let after = self.here();
        for (split, inside) in splits {
            self.patch(split, choice(inside, after, lazy));
        }
        Ok(())
    }
}

fn choice(inside: u32, after: u32, lazy: bool) -> Instruction {
    if lazy { Instruction::Split(after, inside) } else { Instruction::Split(inside, after) }
}
