//! A list of what is in the program, for those who watch for holes in it: `CycloneDX` 1.5, as JSON.
//! See <https://cyclonedx.org/docs/1.5/json/>.

use super::parts::{LinkedPackages, Package};
use anyhow::Context as _;
use serde_json::{Value, json};

/// Renders the SBOM as JSON.
pub(super) fn write(parts: &LinkedPackages) -> anyhow::Result<String> {
    let program = parts.packages.get(&parts.root).context("a program is one of its parts")?;
    let components: Vec<Value> =
        parts.packages.values().filter(|it| it.id != parts.root).map(component).collect();
    let name_of = |id: &String| parts.packages.get(id).map(name);
    let dependencies: Vec<Value> = parts
        .needs
        .iter()
        .filter_map(|(id, needs)| {
            let needs: Vec<_> = needs.iter().filter_map(name_of).collect();
            Some(json!({ "ref": name_of(id)?, "dependsOn": needs }))
        })
        .collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": of_type(component(program), "application") },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

/// The name by which databases of holes know a package.
fn name(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn component(package: &Package) -> Value {
    let mut told = json!({
        "type": "library",
        "bom-ref": name(package),
        "name": package.name,
        "version": package.version,
        "purl": name(package),
    });
    let mut add = |key: &str, value: Value| {
        if let Some(told) = told.as_object_mut() {
            told.insert(key.to_owned(), value);
        }
    };
    if let Some(description) = &package.description {
        add("description", json!(description.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    if let Some(license) = &package.license {
        // Old manifests write a slash for `OR`.
        add("licenses", json!([{ "expression": license.replace('/', " OR ").replace("  ", " ") }]));
    }
    if let Some(repository) = &package.repository {
        add("externalReferences", json!([{ "type": "vcs", "url": repository }]));
    }
    told
}

fn of_type(mut component: Value, kind: &str) -> Value {
    if let Some(told) = component.as_object_mut() {
        told.insert("type".to_owned(), json!(kind));
    }
    component
}

#[cfg(test)]
mod tests {
    use super::super::parts::tests::example;
    use super::write;
    use serde_json::{Value, json};

    #[test]
    fn sbom_lists_each_package_and_its_dependencies() {
        let list: Value = serde_json::from_str(&write(&example()).unwrap()).unwrap();
        assert_eq!(list["metadata"]["component"]["purl"], "pkg:cargo/program@1.0.0");
        assert_eq!(list["metadata"]["component"]["type"], "application");
        assert_eq!(list["components"].as_array().unwrap().len(), 2);
        assert_eq!(list["components"][0]["licenses"], json!([{ "expression": "MIT" }]));
        let needs = |of: &str| {
            let all = list["dependencies"].as_array().unwrap();
            all.iter().find(|it| it["ref"] == of).unwrap()["dependsOn"].clone()
        };
        assert_eq!(needs("pkg:cargo/program@1.0.0"), json!(["pkg:cargo/ours@1.0.0"]));
        assert_eq!(needs("pkg:cargo/theirs@1.0.0"), json!([]));
    }
}
