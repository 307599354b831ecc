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
    let views: Vec<View<'_>> = rules.iter().map(View::of).collect();
    let atoms: usize = views.iter().flat_map(View::clauses).map(|clause| clause.atoms.len()).sum();
    let members: Vec<Member> = (0..).zip(rules).map(|(rule, _)| Member { rule, used: 0 }).collect();
    let mut builder =
        Builder { views: &views, nodes: Vec::new(), filed: Vec::new(), places: 1_024 + 16 * atoms };
    builder.node(members, DEEPEST);
    (builder.nodes, builder.filed)
}

impl<'c> View<'c> {
    fn clauses(&self) -> impl Iterator<Item = &Clause<'c>> {
        self.all.iter().chain(self.any.iter().flatten())
    }
}

impl<'v, 'c> Builder<'v, 'c> {
    /// Makes a node of members, which are in order; its number.
    fn node(&mut self, members: Vec<Member>, deeper: usize) -> u32 {
        let number = self.nodes.len();
        self.nodes.push(Node::default());
        let mut counts = Counts::default();
        for member in &members {
            self.view(*member).into_iter().flat_map(View::clauses).for_each(|clause| counts.add(clause));
        }
        let mut node = Node::default();
        let mut known = ByteMap::default();
        // By place: the members filed there, in order.
        let mut filed: Vec<Vec<Member>> = Vec::new();
        let mut always = Vec::new();
        for member in members {
            let Some((atoms, used)) = self.choose(member, &counts) else {
                always.push(member.rule);
                continue;
            };
            self.places = self.places.saturating_sub(atoms.len());
            for atom in atoms {
                let place = known.insert(&atom.key());
                if place as usize == filed.len() {
                    node.insert(&atom, place);
                    filed.push(Vec::new());
                }
                if let Some(list) = filed.get_mut(place as usize) {
                    // Two atoms of one clause may be the same.
                    if list.last().is_none_or(|last: &Member| last.rule != member.rule) {
                        list.push(Member { used: member.used | used, ..member });
                    }
                }
            }
        }
        node.finish();
        node.always = self.file(always);
        for members in filed {
            let place = self.place(members, deeper);
            node.places.push(place);
        }
        if let Some(place) = self.nodes.get_mut(number) {
            *place = node;
        }
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn place(&mut self, members: Vec<Member>, deeper: usize) -> Place {
        let divisible = members.len() > FEW && deeper > 0 && self.places > 0 && self.would_divide(&members);
        if divisible {
            return Place::Node(self.node(members, deeper - 1));
        }
        let (start, end) = self.file(members.into_iter().map(|member| member.rule).collect());
        Place::Rules(start, end)
    }

    /// Whether another condition tells most of the members apart.
    fn would_divide(&self, members: &[Member]) -> bool {
        let mut counts = Counts::default();
        for member in members {
            self.view(*member).into_iter().flat_map(View::clauses).for_each(|clause| counts.add(clause));
        }
        let divided = members.iter().filter(|member| {
            self.choose(**member, &counts)
                .is_some_and(|(atoms, _)| atoms.iter().all(|atom| counts.of(atom) * 2 <= members.len()))
        });
        divided.count() * 2 > members.len()
    }

    fn file(&mut self, rules: Vec<u32>) -> (u32, u32) {
        let start = self.filed.len();
        self.filed.extend(rules);
        let number = |length| u32::try_from(length).unwrap_or(u32::MAX);
        (number(start), number(self.filed.len()))
    }

    fn view(&self, member: Member) -> Option<&'v View<'c>> {
        self.views.get(member.rule as usize)
    }

    /// The atoms of the member's most selective condition that has not been used, and the bit that says it is used now.
    fn choose(&self, member: Member, counts: &Counts) -> Option<(Vec<Atom<'c>>, u64)> {
        let view = self.view(member)?;
        let free = |index: usize| index < 63 && member.used >> index & 1 == 0;
        let one_of_all = view
            .all
            .iter()
            .enumerate()
            .filter(|(index, _)| free(index + 1))
            .filter_map(|(index, clause)| Some((counts.cost(clause)?, index + 1, vec![clause])))
            .min_by_key(|(cost, ..)| *cost);
        // The first bit stands for `any`, of which each alternative is filed by its own best condition.
        let any = (free(0) && !view.any.is_empty()).then(|| {
            let priced = |clause: &'v Clause<'c>| Some((counts.cost(clause)?, clause));
            let best = |way: &'v Vec<Clause<'c>>| way.iter().filter_map(priced).min_by_key(|(cost, _)| *cost);
            view.any.iter().map(best).collect::<Option<Vec<_>>>()
        });
        let any = any.flatten().map(|best| {
            let cost = best.iter().map(|(cost, _)| *cost).max().unwrap_or(0) + best.len() / 8;
            (cost, 0, best.into_iter().map(|(_, clause)| clause).collect())
        });
        let (_, index, clauses) = one_of_all.into_iter().chain(any).min_by_key(|(cost, ..)| *cost)?;
        let atoms = clauses.into_iter().flat_map(|clause| clause.atoms.iter().cloned()).collect();
        Some((atoms, 1 << index))
    }
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
