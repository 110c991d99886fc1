//! A set of fields: a tree of steps, each level sorted, so that every operation is one walk of it.

use std::fmt::Write as _;

use super::element::Element;
use super::types::Type;

/// A set of fields. Texts are borrowed from the documents that they stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set<'a> {
    /// Sorted by element. No branch is empty: it is a member or leads to one.
    branches: Vec<Branch<'a>>,
}

/// A step, whether it leads to a member, and to which others it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Branch<'a> {
    pub(super) element: Element<'a>,
    pub(super) member: bool,
    pub(super) below: Set<'a>,
}

impl<'a> Branch<'a> {
    fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl<'a> Set<'a> {
    /// An empty set with room for `count` steps.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { branches: Vec::with_capacity(count) }
    }

    /// The fields at `paths`.
    pub(super) fn of_paths(paths: &[&[&'a str]]) -> Self {
        Self::union(paths.iter().filter_map(|path| {
            let (last, above) = path.split_last()?;
            let leaf = Branch { element: Element::field(last), member: true, below: Self::default() };
            let lead = |below, name: &&'a str| Branch {
                element: Element::field(name),
                member: false,
                below: Self { branches: vec![below] },
            };
            Some(Self { branches: vec![above.iter().rev().fold(leaf, lead)] })
        }))
    }

    /// Adds a branch behind all others; an empty one is not.
    pub(super) fn push(&mut self, element: Element<'a>, member: bool, below: Self) {
        debug_assert!(self.branches.last().is_none_or(|last| last.element < element), "pushed in order");
        let branch = Branch { element, member, below };
        if !branch.is_empty() {
            self.branches.push(branch);
        }
    }

    /// The set of branches in any order; several of one element are one.
    pub(super) fn of(mut branches: Vec<Branch<'a>>) -> Self {
        branches.retain(|branch| !branch.is_empty());
        if branches.is_sorted_by(|left, right| left.element < right.element) {
            return Self { branches };
        }
        branches.sort_by(|left, right| left.element.cmp(&right.element));
        let mut set = Self::with_capacity(branches.len());
        let mut rest = branches.into_iter().peekable();
        while let Some(mut branch) = rest.next() {
            let mut below = Vec::new();
            while let Some(same) = rest.next_if(|next| next.element == branch.element) {
                branch.member |= same.member;
                below.extend(same.below.branches);
            }
            if !below.is_empty() {
                below.append(&mut branch.below.branches);
                branch.below = Self::of(below);
            }
            set.branches.push(branch);
        }
        set
    }

    /// What is in any of `sets`.
    pub(super) fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        Self::of(sets.into_iter().flat_map(|set| set.branches).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    pub(super) fn branches(&self) -> &[Branch<'a>] {
        &self.branches
    }

    /// The branch of `element`.
    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Branch<'a>> {
        let place = self.branches.binary_search_by(|branch| branch.element.cmp(element)).ok()?;
        Some(&self.branches[place])
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Set<'_>) -> Self {
        let mut both = Self::default();
        for one in &self.branches {
            if let Some(two) = other.get(&one.element) {
                let below = one.below.intersection(&two.below);
                both.push(one.element.clone(), one.member && two.member, below);
            }
        }
        both
    }

    /// Takes the members of `other` out, not what is below them. Says whether there were any.
    pub(super) fn remove(&mut self, other: &Set<'_>) -> bool {
        self.shrink(other, |one, two| {
            let found = one.member && two.member;
            one.member &= !two.member;
            one.below.remove(&two.below) || found
        })
    }

    /// Takes the members of `other` out with all that is below them.
    pub(super) fn remove_below(&mut self, other: &Set<'_>) {
        self.shrink(other, |one, two| {
            if two.member {
                (one.member, one.below) = (false, Set::default());
            }
            one.below.remove_below(&two.below);
            true
        });
    }

    fn shrink(
        &mut self,
        other: &Set<'_>,
        mut each: impl FnMut(&mut Branch<'a>, &Branch<'_>) -> bool,
    ) -> bool {
        let mut changed = false;
        if other.is_empty() {
            return changed;
        }
        self.branches.retain_mut(|one| {
            if let Some(two) = other.get(&one.element) {
                changed |= each(one, two);
            }
            !one.is_empty()
        });
        changed
    }

    /// The set with the named fields that lead to its members: who owns `spec.replicas` has a say in `spec`.
    pub(super) fn with_named(mut self, ty: Type<'_>) -> Self {
        for branch in &mut self.branches {
            let named = matches!(&branch.element, Element::Field(name) if ty.names(name));
            branch.member |= named && !branch.below.is_empty();
            let below = std::mem::take(&mut branch.below);
            branch.below = below.with_named(ty.below(&branch.element));
        }
        self
    }

    /// The set with other names of fields of the first level, where there are any.
    pub(super) fn renamed<'n>(self, name: impl Fn(&str) -> Option<&'n String>) -> Self {
        let branch = |mut branch: Branch<'a>| {
            if let Element::Field(old) = &branch.element
                && let Some(new) = name(old)
            {
                branch.element = Element::Field(new.clone().into());
            }
            branch
        };
        Self::of(self.branches.into_iter().map(branch).collect())
    }

    /// Makes fields of the first level that are named so no members, if they lead to others.
    pub(super) fn disown(&mut self, named: impl Fn(&str) -> bool) {
        for branch in self.branches.iter_mut().filter(|branch| !branch.below.is_empty()) {
            branch.member &= !matches!(&branch.element, Element::Field(name) if named(name));
        }
    }

    /// The set with texts of its own.
    pub(super) fn into_owned(self) -> Set<'static> {
        let branch = |branch: Branch<'a>| Branch {
            element: branch.element.into_owned(),
            member: branch.member,
            below: branch.below.into_owned(),
        };
        Set { branches: self.branches.into_iter().map(branch).collect() }
    }

    /// Makes one field of what has become atomic since the set was written. Says whether there was any.
    pub(super) fn reconcile(&mut self, ty: Type<'_>) -> bool {
        let mut changed = false;
        for branch in self.branches.iter_mut().filter(|branch| !branch.below.is_empty()) {
            let below = ty.below(&branch.element);
            if below.is_atomic() {
                (branch.member, branch.below) = (true, Set::default());
                changed = true;
            } else {
                changed |= branch.below.reconcile(below);
            }
        }
        changed
    }

    /// The members as people read them, such as `.data.key`: those of a level first, then those below. There are as many
    /// as fit the `room`, in bytes, and at least one while there is any: long names must not be told for each field in them.
    pub(super) fn paths(&self, room: &mut usize) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), room, &mut paths);
        paths
    }

    fn collect(&self, path: &mut String, room: &mut usize, paths: &mut Vec<String>) {
        let start = path.len();
        for members in [true, false] {
            for branch in &self.branches {
                if *room == 0 {
                    return;
                }
                let _ = write!(path, "{}", branch.element);
                if members && branch.member {
                    *room = room.saturating_sub(path.len());
                    paths.push(path.clone());
                } else if !members {
                    branch.below.collect(path, room, paths);
                }
                path.truncate(start);
            }
        }
    }
}
