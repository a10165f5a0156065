//! Components. Each becomes one template for each context and set of argument names.

use handlebars::template::TemplateElement;

use super::elements::call;
use super::{Action, Arguments, Helper, Here, Lowering, Names, TEXT_BYTES_PER_NODE};
use crate::ast::{Expr, Named};
use crate::html_context::Machine;
use crate::mistake::Mistake;
use crate::parse::{Known, check_name, parse};
use crate::source::{Checked, Pos, Problem};

/// A component's template is shared by all uses with the same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ComponentKey {
    name: String,
    context: String,
    /// The sorted names of the arguments. `None` if they are known only at run time.
    arguments: Option<Vec<String>>,
}

/// A component, compiled for one key.
pub(super) struct Component {
    unit: usize,
    /// The state in which it ends. `None` while it is being compiled.
    end: Option<Machine>,
    recursive: bool,
}

impl Lowering<'_> {
    /// Lowers the use of a component.
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

    /// The component's unit. Updates the state to that after the component.
    fn compiled(&mut self, key: &ComponentKey, pos: Pos, here: &mut Here<'_>) -> Checked<usize> {
        if let Some(known) = self.components.get_mut(key) {
            match &known.end {
                Some(end) => here.machine = end.clone(),
                // It is assumed to end in the state in which it began. That is checked when it ends.
                None => known.recursive = true,
            }
            return Ok(known.unit);
        }
        if self.component_depth >= self.limits.component_depth_max {
            return Err(Problem::new(pos, Mistake::ComponentDepth(self.limits.component_depth_max)));
        }
        let file = self.component_file(&key.name, pos)?;
        let known = key.arguments.as_deref().map_or(Known::All, Known::Component);
        // The file is parsed again for each context and each set of argument names.
        self.count_nodes(self.sources.text(file).len() / TEXT_BYTES_PER_NODE, pos)?;
        let document = parse(file, self.sources.text(file), known)?;
        if let Some(layout) = &document.extends {
            return Err(Problem::new(layout.pos, Mistake::ExtendsInComponent));
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
                let (start, end) = (here.machine.describe(), inside.machine.describe());
                return Err(Problem::new(pos, Mistake::RecursionEnds { name: key.name.clone(), start, end }));
            }
            component.end = Some(inside.machine.clone());
        }
        here.machine = inside.machine;
        Ok(unit)
    }
}
