//! Grants of interfaces that the host brings itself: `grants.interface."clinic:ehr/records" = { ward = "3" }`.

use std::collections::BTreeMap;

use serde_json::Value;
use wflo_model::{GrantReader, InterfaceName};

use crate::deployment::Deployment;
use crate::near::did_you_mean;
use crate::reader::{Node, Reader, Spanned};
use crate::schema::json;

/// What a step is granted of such interfaces.
pub(crate) type InterfaceGrants = BTreeMap<InterfaceName, Vec<Spanned<Value>>>;

/// One grant, or a list of them, for each interface.
pub(crate) fn read_grants(reader: &mut Reader, node: &Node<'_>) -> InterfaceGrants {
    let mut all = InterfaceGrants::new();
    let Some(section) = node.section(reader, "`grants.interface`") else { return all };
    for (name, node) in section.named::<InterfaceName>(reader) {
        let list = match node.is_table() {
            true => vec![node],
            false => node.list(reader).unwrap_or_default(),
        };
        let grants: Vec<_> = list.iter().filter_map(|node| Some(node.at(json(reader, node)?))).collect();
        if grants.is_empty() && !reader.found.has_errors() {
            reader.error(name.span.clone(), format!("`{}` is granted nothing", name.value));
        }
        all.insert(name.value, grants);
    }
    all
}

impl Deployment {
    /// Says that the host brings an interface of its own, and what reads a grant of it. The files know nothing of
    /// such interfaces: a host that offers none refuses every grant of one.
    ///
    /// ```
    /// use wflo_manifest::Deployment;
    /// let mut deployment = Deployment::default();
    /// deployment.offer("clinic:ehr/records".parse().unwrap(), |grant| match grant["ward"].as_str() {
    ///     Some(_) => Ok(()),
    ///     None => Err("a grant names a `ward`".to_owned()),
    /// });
    /// ```
    pub fn offer(&mut self, interface: InterfaceName, reader: GrantReader) {
        self.offers.insert(interface, reader);
    }

    /// Holds grants against what the host offers: each with its place if it is not offered, or cannot be read.
    pub(crate) fn offered(
        &self,
        reader: &mut Reader,
        granted: &InterfaceGrants,
    ) -> BTreeMap<InterfaceName, Vec<Value>> {
        let mut all = BTreeMap::new();
        for (name, grants) in granted {
            for grant in grants {
                match self.offers.get(name).map(|read| read(&grant.value)) {
                    Some(Ok(())) => {}
                    Some(Err(why)) => {
                        reader.error(grant.span.clone(), format!("no grant of `{name}`: {why}"));
                    }
                    None => {
                        let offered = self.offers.keys().map(InterfaceName::as_str);
                        let hint = did_you_mean(name.as_str(), "it offers", offered).unwrap_or_else(|| {
                            "such interfaces come with the program that wflo is embedded in; the `wflo` command has \
                             none"
                                .to_owned()
                        });
                        let message = format!("this host offers no interface `{name}`");
                        reader.error(grant.span.clone(), message).hint(hint);
                    }
                }
            }
            all.insert(name.clone(), grants.iter().map(|grant| grant.value.clone()).collect());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use wflo_model::Digest;

    use crate::{Deployment, Directory, Pinning, Plan, Workflow};

    fn pinned(grants: &str, deployment: &Deployment) -> Result<Plan, String> {
        let text = format!(
            "[workflow]\nname = \"w\"\ncomponent = \"c.wasm\"\n[[step]]\nname = \"s\"\ngrants.interface.{grants}\n"
        );
        let workflow = Workflow::parse("workflow.toml", &text).map_err(|found| found.render(false))?;
        let components = [("c.wasm".parse().unwrap(), Digest::of(b""))].into();
        let (known, prompts) = (Directory::default(), BTreeMap::new());
        Plan::new(
            &workflow,
            &Pinning { components: &components, deployment, known: &known, prompts: &prompts },
        )
        .map_err(|found| found.render(false))
    }

    #[test]
    fn a_grant_is_read_by_the_host_that_offers_the_interface() {
        let mut clinic = Deployment::default();
        clinic.offer("clinic:ehr/records".parse().unwrap(), |grant| match grant["ward"].as_str() {
            Some(_) => Ok(()),
            None => Err("it names no `ward`".to_owned()),
        });
        let plan = pinned("\"clinic:ehr/records\" = { ward = \"3\" }", &clinic).unwrap();
        assert_eq!(plan.steps[0].grants.interfaces["clinic:ehr/records"], [serde_json::json!({"ward": "3"})]);
        let explained = plan.explain(&"s".parse().unwrap()).unwrap();
        assert!(
            explained.contains("may use `clinic:ehr/records` of this host: {\"ward\":\"3\"}"),
            "{explained}"
        );
        assert!(pinned("\"clinic:ehr/records\" = [{ ward = \"3\" }, { ward = \"4\" }]", &clinic).is_ok());

        let check = |grants: &str, deployment: &Deployment, expect: &str| {
            let found = pinned(grants, deployment).unwrap_err();
            assert!(found.contains(expect) && found.contains("workflow.toml:6:"), "{found}");
        };
        check(
            "\"clinic:ehr/records\" = { wards = \"3\" }",
            &clinic,
            "no grant of `clinic:ehr/records`: it names no `ward`",
        );
        check("\"clinic:ehr/record\" = { ward = \"3\" }", &clinic, "did you mean `clinic:ehr/records`?");
        check(
            "\"clinic:ehr/records\" = { ward = \"3\" }",
            &Deployment::default(),
            "this host offers no interface",
        );
        check("\"clinic:ehr/records\" = []", &clinic, "is granted nothing");
        check("\"wflo:db/sql\" = { ward = \"3\" }", &clinic, "no interface that a host can bring");
    }
}
