//! `@extends`, `@block` and `@yield`. A page and its layouts become one template. A layout is a file of
//! `layouts/`, or another page.

use std::collections::{HashMap, HashSet};

use super::{Elements, Here, Lowering, Names};
use crate::ast::{Document, Expr, Named, Node};
use crate::html_context::Machine;
use crate::lex::is_space_or_comments;
use crate::mistake::Mistake;
use crate::parse::{Known, parse};
use crate::source::{Checked, Problem};

/// How many layouts may extend one another.
const LAYOUTS_MAX: usize = 8;

/// The blocks that a page and its layouts define, without the outermost layout.
pub(super) struct Blocks<'d> {
    defined: HashMap<&'d str, &'d [Node]>,
    /// The blocks that are being lowered, each inside the one before.
    open: Vec<String>,
}

impl Lowering<'_> {
    /// The elements of a page in its layout, and how many slots its names take.
    pub(super) fn page(&mut self, file: u32) -> Checked<(Elements, usize)> {
        let documents = self.documents(file)?;
        let Some((base, derived)) = documents.split_last() else {
            return Ok((Vec::new(), 0));
        };
        let set_names: Vec<String> =
            documents.iter().flat_map(|document| document.set_names.iter().cloned()).collect();
        let mut blocks = Blocks { defined: HashMap::new(), open: Vec::new() };
        // The page's own `@set`s run before anything is printed, so that a layout can use them.
        let mut sets = Vec::new();
        for document in derived {
            read_derived(document, &mut blocks, &mut sets)?;
        }
        let mut here = Here { names: Names::new(&set_names), machine: Machine::new(), blocks: Some(blocks) };
        let mut elements = self.nodes(&sets, &mut here)?;
        elements.extend(self.nodes(&base.nodes, &mut here)?);
        Ok((elements, here.names.slots()))
    }

    /// The page, its layout, that layout's layout, and so on.
    fn documents(&mut self, page: u32) -> Checked<Vec<Document>> {
        let mut files = vec![page];
        let mut documents = vec![parse(page, self.sources.text(page), Known::Page(&[]))?];
        let mut set_names = Vec::new();
        while let Some(document) = documents.last() {
            set_names.extend(document.set_names.iter().cloned());
            let Some(layout) = document.extends.clone() else {
                break;
            };
            if documents.len() > LAYOUTS_MAX {
                return Err(Problem::new(layout.pos, Mistake::LayoutDepth(LAYOUTS_MAX)));
            }
            let file = self.layout_file(&layout.name, layout.pos)?;
            if let Some(first) =
                files.iter().position(|known| self.sources.name(*known) == self.sources.name(file))
            {
                let chain: Vec<&str> =
                    files.iter().skip(first).chain([&file]).map(|file| self.sources.name(*file)).collect();
                return Err(Problem::new(layout.pos, Mistake::ExtendsCycle(chain.join(" → "))));
            }
            files.push(file);
            documents.push(parse(file, self.sources.text(file), Known::Page(&set_names))?);
        }
        // The outermost layout was already parsed with all names.
        files.pop();
        for (file, document) in files.into_iter().zip(&mut documents) {
            let own: HashSet<String> = document.set_names.iter().cloned().collect();
            if set_names.iter().any(|name| !own.contains(name)) {
                *document = parse(file, self.sources.text(file), Known::Page(&set_names))?;
            }
        }
        Ok(documents)
    }

    /// `@block`: the page's definition, else that of the innermost layout that has one, else its own
    /// body.
    pub(super) fn block(&mut self, block: &Named, own: &[Node], here: &mut Here<'_>) -> Checked<Elements> {
        match defined(block, here)? {
            Some(body) => self.defined_block(block, body, here),
            None => self.nested(own, block.pos, here),
        }
    }

    /// `@yield`: like `@block`, with a default value in place of a body.
    pub(super) fn block_or_default(
        &mut self,
        block: &Named,
        default: Option<&Expr>,
        next: Option<&Node>,
        here: &mut Here<'_>,
    ) -> Checked<Elements> {
        match (defined(block, here)?, default) {
            (Some(body), _) => self.defined_block(block, body, here),
            (None, Some(default)) => Ok(vec![self.output(default, block.pos, next, here)?]),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn defined_block(&mut self, block: &Named, body: &[Node], here: &mut Here<'_>) -> Checked<Elements> {
        let open =
            |here: &Here<'_>| here.blocks.as_ref().is_some_and(|blocks| blocks.open.contains(&block.name));
        if open(here) {
            return Err(Problem::new(block.pos, Mistake::BlockInItself(block.name.clone())));
        }
        if let Some(blocks) = &mut here.blocks {
            blocks.open.push(block.name.clone());
        }
        // A page's block does not see the loops of the layout around it.
        let loops = here.names.hide_loops();
        let elements = self.nested(body, block.pos, here)?;
        here.names.restore_loops(loops);
        if let Some(blocks) = &mut here.blocks {
            blocks.open.pop();
        }
        Ok(elements)
    }
}

fn defined<'d>(block: &Named, here: &Here<'d>) -> Checked<Option<&'d [Node]>> {
    match &here.blocks {
        Some(blocks) => Ok(blocks.defined.get(block.name.as_str()).copied()),
        None => Err(Problem::new(block.pos, Mistake::BlockInComponent)),
    }
}

/// Collects what a page with `@extends` defines. Anything else is an error, because it would not be
/// printed.
fn read_derived<'d>(document: &'d Document, blocks: &mut Blocks<'d>, sets: &mut Vec<Node>) -> Checked<()> {
    let mut own = HashSet::new();
    for node in &document.nodes {
        match node {
            Node::Set { .. } | Node::Do { .. } => sets.push(node.clone()),
            Node::Text { text, .. } if is_space_or_comments(text.trim_matches('\u{feff}')) => {}
            Node::Block { block, body, .. } => {
                if !own.insert(block.name.as_str()) {
                    return Err(Problem::new(block.pos, Mistake::BlockTwice(block.name.clone())));
                }
                // The page's definitions come first, and override those of its layouts.
                blocks.defined.entry(&block.name).or_insert(body);
            }
            node => {
                let pos = match node {
                    Node::Text { text, pos } => pos.plus(text.len() - text.trim_start().len()),
                    node => node.pos(),
                };
                return Err(Problem::new(pos, Mistake::OutsideBlocks));
            }
        }
    }
    Ok(())
}
