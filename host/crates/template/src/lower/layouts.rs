//! `@extends`, `@block` and `@yield`: a page and its layouts become one template.

use std::collections::HashMap;

use sluice_text::suggest;

use super::{Elements, Here, Lowering, Names};
use crate::ast::{Document, Expr, Named, Node};
use crate::html_context::Machine;
use crate::lex::is_space_or_comments;
use crate::parse::{Known, parse};
use crate::source::{Checked, Pos, Problem};

/// Layouts that may extend one another.
const LAYOUTS_MAX: usize = 8;

/// The blocks that a page and all but the last of its layouts define.
pub(super) struct Blocks<'d> {
    defined: HashMap<&'d str, &'d [Node]>,
    /// The blocks that are being lowered, inside one another.
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
        // The page's own sets run before anything is printed, so that a layout can use them.
        let mut sets = Vec::new();
        for document in derived {
            read_derived(document, &mut blocks, &mut sets)?;
        }
        let mut here = Here { names: Names::new(&set_names), machine: Machine::new(), blocks: Some(blocks) };
        let mut elements = self.nodes(&sets, &mut here)?;
        elements.extend(self.nodes(&base.nodes, &mut here)?);
        Ok((elements, here.names.slots()))
    }

    /// The page and its layouts, from the page outwards.
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
                let message = format!("more than {LAYOUTS_MAX} layouts extend one another");
                return Err(Problem::new(layout.pos, message));
            }
            let file = self.layout_file(&layout)?;
            files.push(file);
            documents.push(parse(file, self.sources.text(file), Known::Page(&set_names))?);
        }
        // The outermost layout was read with all names already.
        files.pop();
        for (file, document) in files.into_iter().zip(&mut documents) {
            if set_names.iter().any(|name| !document.set_names.contains(name)) {
                *document = parse(file, self.sources.text(file), Known::Page(&set_names))?;
            }
        }
        Ok(documents)
    }

    fn layout_file(&mut self, layout: &Named) -> Checked<u32> {
        let Named { name, pos } = layout;
        check_file_name(name, *pos)?;
        let Some((file, source)) = self.includes.layout(name) else {
            let names = self.includes.layout_names();
            return Err(Problem::new(*pos, not_included("layout", name, &names)));
        };
        self.add_file(&file, &source, *pos)
    }

    /// `@block`: the definition nearest to the page, or its own body.
    pub(super) fn block(&mut self, block: &Named, own: &[Node], here: &mut Here<'_>) -> Checked<Elements> {
        match defined(block, here)? {
            Some(body) => self.defined_block(block, body, here),
            None => self.nested(own, block.pos, here),
        }
    }

    /// `@yield`: the same, with a default value for a body.
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
            let message = format!("the block \"{}\" stands inside itself", block.name);
            return Err(Problem::new(block.pos, message));
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
        None => Err(Problem::new(block.pos, "a component has no blocks; give it arguments")),
    }
}

/// Collects what a page with `@extends` defines. Nothing else of it is printed, so nothing
/// else may be there.
fn read_derived<'d>(document: &'d Document, blocks: &mut Blocks<'d>, sets: &mut Vec<Node>) -> Checked<()> {
    let mut own = Vec::new();
    for node in &document.nodes {
        match node {
            Node::Set { .. } => sets.push(node.clone()),
            Node::Text { text, .. } if is_space_or_comments(text.trim_matches('\u{feff}')) => {}
            Node::Block { block, body, .. } => {
                if own.contains(&block.name.as_str()) {
                    let message = format!("the block \"{}\" is defined twice", block.name);
                    return Err(Problem::new(block.pos, message));
                }
                own.push(&block.name);
                // What is nearer to the page has come first.
                blocks.defined.entry(&block.name).or_insert(body);
            }
            node => {
                let pos = match node {
                    Node::Text { text, pos } => pos.plus(text.len() - text.trim_start().len()),
                    node => node.pos(),
                };
                let message = "a page that extends a layout prints only what is in its blocks; \
                               put this into a @block";
                return Err(Problem::new(pos, message));
            }
        }
    }
    Ok(())
}

/// Names of layouts and components stay in their folder.
pub(super) fn check_file_name(name: &str, pos: Pos) -> Checked<()> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match name.split('/').all(plain) {
        true => Ok(()),
        false => {
            let message = format!("\"{name}\" is no name; one is written like \"shop/card\"");
            Err(Problem::new(pos, message))
        }
    }
}

/// Why a layout or component of this name is not there; `names` are those with a file.
pub(super) fn not_included(what: &str, name: &str, names: &[String]) -> String {
    if names.iter().any(|known| known == name) {
        return format!("the {what} \"{name}\" cannot be used: something is wrong with its file");
    }
    let hint = suggest::hint(name, names.iter().map(String::as_str));
    format!("there is no {what} \"{name}\"{hint}")
}
