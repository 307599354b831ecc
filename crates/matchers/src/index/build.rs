//! Filing rules: which condition each is filed by.

use super::clause::{Atom, Clause, View};
use super::node::{Node, Place};
use crate::bytemap::ByteMap;
use crate::conditions::Conditions;

/// So many rules are verified rather than filed once more.
const FEW: usize = 8;
/// How often a rule is filed at most, one condition after the other.
const DEEPEST: usize = 6;

/// A rule on its way to its places, and which of its clauses have been used for them.
#[derive(Clone, Copy)]
struct Member {
    rule: u32,
    used: u64,
}

struct Builder<'v, 'c> {
    views: &'v [View<'c>],
    nodes: Vec<Node>,
    filed: Vec<u32>,
    /// How many more places may be made. Bounds memory where rules are lists of lists.
    places: usize,
}

/// The nodes, of which number 0 is the first to look in, and the numbers that their places point to.
pub(super) fn build(rules: &[Conditions]) -> (Vec<Node>, Vec<u32>) {
    let mut views = Vec::new();
    let mut members = Vec::new();
    let mut places = 1_024;
    for (rule, conditions) in (0..).zip(rules) {
        let view = View::of(conditions);
        for clause in &view.clauses {
            places += 16 * clause.atoms.len();
        }
        views.push(view);
        members.push(Member { rule, used: 0 });
    }
    let mut builder = Builder { views: &views, nodes: Vec::new(), filed: Vec::new(), places };
    builder.node(&members, DEEPEST);
    (builder.nodes, builder.filed)
}

impl<'v, 'c> Builder<'v, 'c> {
    /// Makes a node of members, which are in order; its number.
    fn node(&mut self, members: &[Member], deeper: usize) -> u32 {
        let number = self.nodes.len();
        self.nodes.push(Node::default());
        let counts = self.count(members);
        let mut node = Node::default();
        let mut known = ByteMap::default();
        // By place: the members filed there, in order.
        let mut filed: Vec<Vec<Member>> = Vec::new();
        let mut always = Vec::new();
        for member in members {
            let Some(choice) = self.choose(*member, &counts) else {
                always.push(*member);
                continue;
            };
            let used = member.used | choice.used;
            for clause in choice.clauses {
                self.places = self.places.saturating_sub(clause.atoms.len());
                for atom in &clause.atoms {
                    let place = known.insert(&atom.key());
                    if place as usize == filed.len() {
                        node.insert(atom, place);
                        filed.push(Vec::new());
                    }
                    if let Some(list) = filed.get_mut(place as usize)
                        // Two atoms of one rule may be the same.
                        && list.last().is_none_or(|last: &Member| last.rule != member.rule)
                    {
                        list.push(Member { rule: member.rule, used });
                    }
                }
            }
        }
        node.finish();
        node.always = self.file(&always);
        for members in filed {
            let place = self.place(&members, deeper);
            node.places.push(place.into());
        }
        if let Some(place) = self.nodes.get_mut(number) {
            *place = node;
        }
        to_u32(number)
    }

    fn place(&mut self, members: &[Member], deeper: usize) -> Place {
        if members.len() > FEW && deeper > 0 && self.places > 0 && self.would_divide(members) {
            return Place::Node(self.node(members, deeper - 1));
        }
        let (start, end) = self.file(members);
        Place::Rules(start, end)
    }

    /// Whether another condition tells most of the members apart.
    fn would_divide(&self, members: &[Member]) -> bool {
        let counts = self.count(members);
        let mut divided = 0;
        for member in members {
            let Some(choice) = self.choose(*member, &counts) else { continue };
            let mut most = 0;
            for clause in choice.clauses {
                for atom in &clause.atoms {
                    most = most.max(counts.of(atom));
                }
            }
            divided += usize::from(most * 2 <= members.len());
        }
        divided * 2 > members.len()
    }

    fn file(&mut self, members: &[Member]) -> (u32, u32) {
        let start = to_u32(self.filed.len());
        for member in members {
            self.filed.push(member.rule);
        }
        (start, to_u32(self.filed.len()))
    }

    fn count(&self, members: &[Member]) -> Counts {
        let mut counts = Counts::default();
        for member in members {
            let Some(view) = self.views.get(member.rule as usize) else { continue };
            for clause in &view.clauses {
                counts.add(clause);
            }
        }
        counts
    }

    /// The member's most selective condition that has not been used.
    fn choose(&self, member: Member, counts: &Counts) -> Option<Choice<'v, 'c>> {
        let view = self.views.get(member.rule as usize)?;
        let free = |bit: usize| bit < 64 && member.used >> bit & 1 == 0;
        let mut best: Option<(usize, Choice<'v, 'c>)> = None;
        for (index, clause) in view.clauses.iter().enumerate() {
            if clause.way > 0 || !free(index + 1) {
                continue;
            }
            if let Some(cost) = counts.cost(clause)
                && best.as_ref().is_none_or(|(least, _)| cost < *least)
            {
                best = Some((cost, Choice { clauses: vec![clause], used: 1 << (index + 1) }));
            }
        }
        // The first bit stands for `any`, of which each alternative is filed by its own best condition.
        if free(0)
            && view.ways > 0
            && let Some((cost, clauses)) = best_of_each_way(view, counts)
            && best.as_ref().is_none_or(|(least, _)| cost < *least)
        {
            best = Some((cost, Choice { clauses, used: 1 }));
        }
        best.map(|(_, choice)| choice)
    }
}

/// What a member is filed by, and the bit that says that it has been.
struct Choice<'v, 'c> {
    clauses: Vec<&'v Clause<'c>>,
    used: u64,
}

/// The most selective condition of each alternative, and what the worst of them costs. `None` if one cannot be looked up.
fn best_of_each_way<'v, 'c>(view: &'v View<'c>, counts: &Counts) -> Option<(usize, Vec<&'v Clause<'c>>)> {
    let mut worst = 0;
    let mut clauses = Vec::new();
    for way in 1..=view.ways {
        let mut best: Option<(usize, &'v Clause<'c>)> = None;
        for clause in &view.clauses {
            if clause.way == way
                && let Some(cost) = counts.cost(clause)
                && best.is_none_or(|(least, _)| cost < least)
            {
                best = Some((cost, clause));
            }
        }
        let (cost, clause) = best?;
        worst = worst.max(cost);
        clauses.push(clause);
    }
    Some((worst + clauses.len() / 8, clauses))
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How often each atom stands in the rules.
#[derive(Default)]
struct Counts {
    keys: ByteMap,
    counts: Vec<usize>,
}

impl Counts {
    fn add(&mut self, clause: &Clause<'_>) {
        for atom in &clause.atoms {
            let number = self.keys.insert(&atom.key()) as usize;
            self.counts.resize(self.keys.len(), 0);
            if let Some(count) = self.counts.get_mut(number) {
                *count += 1;
            }
        }
    }

    fn of(&self, atom: &Atom<'_>) -> usize {
        self.keys.get(&atom.key()).and_then(|number| self.counts.get(number as usize)).copied().unwrap_or(0)
    }

    /// About how many rules a request that satisfies the clause would have verified. `None`: it cannot be looked up.
    fn cost(&self, clause: &Clause<'_>) -> Option<usize> {
        let mut worst = 0;
        for atom in &clause.atoms {
            worst = worst.max(self.of(atom).saturating_mul(atom.breadth()?));
        }
        Some(worst.saturating_add(clause.atoms.len() / 8))
    }
}
