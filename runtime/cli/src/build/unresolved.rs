//! What to say of the modules that a bundle of JavaScript lacks. The bundler's own advice is about bundles that run in a
//! browser or in Node.

use std::collections::BTreeSet;
use std::path::Path;

/// What begins the bundler's word about a module that it does not find, up to its name.
const LACKING: &str = "Could not resolve \"";
/// What its advice has in it, and what more it says of a module that Node has.
const ADVICE: [&str; 2] = ["You can mark the path ", "--platform=node"];
const OF_NODE: &str = "is built into node";

/// What the bundler said, without its advice.
pub(super) fn without_advice(said: &str) -> String {
    let said = said.split("\n\n").filter(|part| !ADVICE.iter().any(|advice| part.contains(advice)));
    said.collect::<Vec<_>>().join("\n\n").trim_end().to_owned()
}

/// What can be done about the modules that are not there.
pub(super) fn hint(said: &str, steps: &Path) -> Option<String> {
    let mut of_node = BTreeSet::new();
    let mut packages = BTreeSet::new();
    for about in said.split(LACKING).skip(1) {
        let Some((module, about)) = about.split_once('"') else { continue };
        if about.contains(OF_NODE) || module.starts_with("node:") {
            of_node.insert(format!("`{module}`"));
        } else if !module.starts_with(['.', '/', '#']) {
            packages.insert(package(module));
        }
    }
    if packages.contains("@wflo/sdk") {
        return Some(format!(
            "`wflo build --install` gets `@wflo/sdk`: `npm install` in `{}`",
            steps.display()
        ));
    }
    let mut hints = Vec::new();
    if !of_node.is_empty() {
        let names = of_node.into_iter().collect::<Vec<_>>().join(", ");
        hints.push(format!(
            "there is no Node in a component, and so no {names}: the SDK has what a step may reach"
        ));
    }
    if !packages.is_empty() {
        let names = packages.into_iter().collect::<Vec<_>>().join(" ");
        hints.push(format!("`npm install {names}` in `{}` gets what it is to have", steps.display()));
    }
    (!hints.is_empty()).then(|| hints.join("; "))
}

/// The package that a module is of: `@scope/name/file` is of `@scope/name`.
fn package(module: &str) -> &str {
    let parts = if module.starts_with('@') { 2 } else { 1 };
    module.match_indices('/').nth(parts - 1).map_or(module, |(end, _)| &module[..end])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{hint, without_advice};

    const NODE: &str = "✘ [ERROR] Could not resolve \"node:fs\"\n\n    steps.js:1:15:\n      1 │ import fs from \"node:fs\";\n        \
                        ╵                ~~~~~~~~~\n\n  The package \"node:fs\" wasn't found on the file system but is built into \
                        node. Are you trying to bundle for node? You can use \"--platform=node\" to do that, which will remove \
                        this error.\n\n";
    const PACKAGE: &str = "✘ [ERROR] Could not resolve \"lodash/get\"\n\n    steps.js:2:14:\n      2 │ import _ from \"lodash/get\";\n\n  \
                           You can mark the path \"lodash/get\" as external to exclude it from the bundle, which will remove \
                           this error and leave the unresolved path in the bundle.\n\n";

    #[test]
    fn what_is_lacking_is_said_how_to_get() {
        let said = |text: &str| hint(text, Path::new("steps")).unwrap_or_default();
        assert_eq!(
            said(&[NODE, PACKAGE].concat()),
            "there is no Node in a component, and so no `node:fs`: the SDK has what a step may reach; \
             `npm install lodash` in `steps` gets what it is to have"
        );
        assert_eq!(said(&NODE.replace("node:fs", "fs")).matches("`fs`").count(), 1);
        assert!(said(&PACKAGE.replace("lodash/get", "@a/b/c")).starts_with("`npm install @a/b` in"));
        let sdk = said(&[&PACKAGE.replace("lodash/get", "@wflo/sdk/install"), PACKAGE].concat());
        assert_eq!(sdk, "`wflo build --install` gets `@wflo/sdk`: `npm install` in `steps`");
        assert_eq!(said(&PACKAGE.replace("lodash/get", "./greeting.js")), "");
        assert_eq!(said("✘ [ERROR] Expected \")\" but found \"{\""), "");
    }

    #[test]
    fn advice_about_other_bundles_is_left_out() {
        let said = without_advice(&[NODE, PACKAGE].concat());
        assert!(!said.contains("You can") && !said.contains("platform"), "{said}");
        for part in
            ["\"node:fs\"\n\n    steps.js:1:15:", "~~~~~~~~~\n\n✘ [ERROR] Could not resolve \"lodash/get\""]
        {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(without_advice("a\n\nb\n"), "a\n\nb");
    }
}
