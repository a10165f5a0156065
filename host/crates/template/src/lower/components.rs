//! Components: one template for each context and set of argument names.

use handlebars::template::TemplateElement;

use super::elements::call;
use super::layouts::{check_file_name, not_included};
use super::{Action, Arguments, Helper, Here, Lowering, Names};
use crate::ast::{Expr, Named};
use crate::html_context::Machine;
use crate::parse::{Known, check_name, parse};
use crate::source::{Checked, Pos, Problem};

/// What tells the uses of a component apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ComponentKey {
    name: String,
    context: String,
    /// Sorted; `None` where they are known at run time only.
    arguments: Option<Vec<String>>,
}

/// A component, compiled for one use.
pub(super) struct Component {
    unit: usize,
    /// Where it leaves off; `None` while it is being compiled, in itself.
    end: Option<Machine>,
    recursive: bool,
}

impl Lowering<'_> {
    pub(super) fn component(
        &mut self,
        component: &Named,
        args: Option<&Expr>,
        pos: Pos,
        here: &mut Here<'_>,
    ) -> Checked<TemplateElement> {
        let fields: Option<&[(String, Expr)]> = match args {
            None => Some(&[]),
            Some(Expr::Dict(fields)) => Some(fields),
            Some(_) => None,
        };
        let names = fields.map(|fields| {
            let mut names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        });
        for name in names.iter().flatten() {
            check_name(&Named { name: name.clone(), pos })?;
        }
        let key =
            ComponentKey { name: component.name.clone(), context: here.machine.key(), arguments: names };
        let unit = self.compiled(&key, component.pos, here)?;
        let slot_of = |name: &str| {
            let names = key.arguments.as_deref().unwrap_or(&[]);
            names.iter().position(|known| known == name).and_then(|slot| u32::try_from(slot).ok())
        };
        let arguments = match (fields, args) {
            (None, Some(record)) => Arguments::Record(here.names.resolve(record)),
            (fields, _) => Arguments::Named(
                fields
                    .unwrap_or(&[])
                    .iter()
                    .filter_map(|(name, value)| Some((slot_of(name)?, here.names.resolve(value))))
                    .collect(),
            ),
        };
        let action = self.action(Action::Component { unit, arguments, pos });
        Ok(call(Helper::Component, action))
    }

    /// The component's unit; what follows goes on from where it ends.
    fn compiled(&mut self, key: &ComponentKey, pos: Pos, here: &mut Here<'_>) -> Checked<usize> {
        if let Some(known) = self.components.get_mut(key) {
            match &known.end {
                Some(end) => here.machine = end.clone(),
                // It is assumed to end as it began, which is checked when it does.
                None => known.recursive = true,
            }
            return Ok(known.unit);
        }
        if self.component_depth >= self.limits.component_depth_max {
            return Err(Problem::new(pos, self.too_deep()));
        }
        let file = self.component_file(&key.name, pos)?;
        let known = key.arguments.as_deref().map_or(Known::All, Known::Component);
        let document = parse(file, self.sources.text(file), known)?;
        if let Some(layout) = &document.extends {
            return Err(Problem::new(layout.pos, "a component cannot extend a layout"));
        }
        let unit = self.new_unit();
        let compiling = Component { unit, end: None, recursive: false };
        self.components.insert(key.clone(), compiling);
        let mut inside = Here {
            names: Names::of_component(key.arguments.as_deref(), &document.set_names),
            machine: here.machine.clone(),
            blocks: None,
        };
        self.component_depth += 1;
        let elements = self.nested(&document.nodes, pos, &mut inside)?;
        self.component_depth -= 1;
        self.finish_unit(unit, elements, inside.names.slots());
        if let Some(component) = self.components.get_mut(key) {
            if component.recursive && !inside.machine.same_context(&here.machine) {
                let message = format!(
                    "\"{}\" uses itself, so it must end where it began, {}; it ends {}",
                    key.name,
                    here.machine.describe(),
                    inside.machine.describe()
                );
                return Err(Problem::new(pos, message));
            }
            component.end = Some(inside.machine.clone());
        }
        here.machine = inside.machine;
        Ok(unit)
    }

    fn too_deep(&self) -> String {
        let most = self.limits.component_depth_max;
        format!("components nest deeper than {most} (component_depth_max)")
    }

    fn component_file(&mut self, name: &str, pos: Pos) -> Checked<u32> {
        if let Some(file) = self.component_files.get(name) {
            return Ok(*file);
        }
        check_file_name(name, pos)?;
        let Some((file, source)) = self.includes.component(name) else {
            let names = self.includes.component_names();
            return Err(Problem::new(pos, not_included("component", name, &names)));
        };
        let file = self.add_file(&file, &source, pos)?;
        self.component_files.insert(name.to_owned(), file);
        Ok(file)
    }

    pub(super) fn add_file(&mut self, name: &str, source: &str, pos: Pos) -> Checked<u32> {
        let most = self.limits.source_bytes_max;
        if source.len() > most {
            let message = format!("{name} is larger than {most} bytes (source_bytes_max)");
            return Err(Problem::new(pos, message));
        }
        // Some editors begin every file with a mark that is none in the middle of a page.
        Ok(self.sources.add(name, source.strip_prefix('\u{feff}').unwrap_or(source)))
    }
}
