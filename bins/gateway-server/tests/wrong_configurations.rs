//! `check` and `serve` agree on wrong configurations, and name the line, the value and the remedy.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::PathBuf,
        process::{Command, Output},
    };

    /// A directory of this test with a configuration file.
    struct ConfigDirectory(PathBuf);

    impl ConfigDirectory {
        fn new(name: &str, file: &str) -> Self {
            let home = std::env::temp_dir().join(format!("gateway-{}-{name}", std::process::id()));
            fs::create_dir_all(&home).unwrap();
            fs::write(home.join("gateway.toml"), file).unwrap();
            Self(home)
        }

        fn run(&self, command: &str, variables: &[(&str, &str)]) -> Output {
            Command::new(env!("CARGO_BIN_EXE_gateway-server"))
                .arg(command)
                .current_dir(&self.0)
                .env_clear()
                .envs(variables.iter().copied())
                .output()
                .unwrap()
        }
    }

    impl Drop for ConfigDirectory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Checks that both commands refuse the configuration with exit code 78 and the same errors, one
    /// of which begins with `location` and contains all of `parts`.
    #[track_caller]
    fn refused(name: &str, file: &str, variables: &[(&str, &str)], location: &str, parts: &[&str]) {
        let home = ConfigDirectory::new(name, file);
        let [check, serve] = ["check", "serve"].map(|command| home.run(command, variables));
        let errors = String::from_utf8(check.stderr).unwrap();
        assert_eq!(check.status.code(), Some(78), "check {name}: {errors}");
        assert_eq!(serve.status.code(), Some(78), "serve {name}: {errors}");
        assert_eq!(errors, String::from_utf8(serve.stderr).unwrap(), "{name}");
        let is_meant = |line: &&str| {
            line.starts_with(location) && parts.iter().all(|part| line.contains(part))
        };
        assert!(
            errors.lines().any(|line| is_meant(&line)),
            "{name}:\n{errors}{location} {parts:?}"
        );
    }

    fn client(rest: &str) -> String {
        format!(
            "[[clients]]\nname = \"a\"\nkey = \"k-5f0c83a1d94e27b6c0e1a7f3925d8b46e1c07a9f\"\n{rest}"
        )
    }

    #[test]
    fn names_are_checked_and_suggested() {
        let at = |line: usize, column: usize| format!("gateway.toml:{line}:{column}: ");
        refused("syntax", "[server\n", &[], &at(1, 8), &["invalid TOML"]);
        refused("section", "[sever]\nport = 1", &[], &at(1, 2), &["sever", "`server`?"]);
        refused("top", "port = 80", &[], &at(1, 1), &["`server.port`?"]);
        refused("field", "[server]\nprot = 1", &[], &at(2, 1), &["server.prot", "`port`?"]);
        refused("other", "[server]\nlevel = 1", &[], &at(2, 1), &["`log.level`?"]);
        let known = ["unknown setting", "known settings: enabled"];
        refused("known", "[console]\nxyz = 1", &[], &at(2, 1), &known);
        let word = ["found `inof`", "`info`?"];
        refused("word", "[log]\nlevel = \"inof\"", &[], &at(2, 1), &word);
        let kind = "[providers.lab]\nbase_url = \"http://l\"\nkind = \"antropic\"";
        refused("kind", kind, &[], &at(3, 1), &["`antropic`", "`anthropic`?"]);
        let provider = [("DEFAULT_PROVIDER", "opnai")];
        refused("default", "", &provider, "DEFAULT_PROVIDER: ", &["`opnai`", "`openai`?"]);
        let quirks = "[providers.openai]\nquirks = \"grok\"";
        refused("quirks", quirks, &[], &at(2, 1), &["providers.openai.quirks"]);
        let off = "[routing]\ndefault_provider = \"fake\"\n[providers.fake]\nenabled = false";
        refused("off", off, &[], &at(2, 1), &["`fake` is switched off", "enable it"]);
        let model = "[[models]]\nid = \"m\"\nprovider = \"opnai\"";
        refused("model", model, &[], &at(3, 1), &["`opnai`", "`openai`?"]);
        refused("needed", "[[models]]\nid = \"m\"", &[], &at(1, 3), &["`m`", "provider"]);
    }

    #[test]
    fn routes_lead_somewhere() {
        let at = |line: usize, column: usize| format!("gateway.toml:{line}:{column}: ");
        let unserved = ["no provider serves the model `gtp-5-mini`", "`gpt-5-mini`?"];
        refused("alias", "[aliases]\nfast = \"gtp-5-mini\"", &[], &at(2, 1), &unserved);
        let circle = "[aliases]\na = \"b\"\nb = \"a\"";
        refused("circle", circle, &[], &at(2, 1), &["aliases.a", "circular alias"]);
        let route = "[[routes]]\nmodel = \"best\"\ntargets = [\"gpt-5\", \"gtp-5-mini\"]";
        refused("target", route, &[], &at(3, 1), &unserved);
        let fallback = "[fallbacks]\ngpt-5 = [\"gtp-5-mini\"]";
        refused("fallback", fallback, &[], &at(2, 1), &unserved);
        let empty = "[[routes]]\nmodel = \"best\"";
        refused("empty", empty, &[], &at(1, 1), &["routes[0].targets", "needed"]);
        let twice =
            "[[routes]]\nmodel = \"a\"\ntargets = [\"gpt-5\"]\n[fallbacks]\na = [\"gpt-5\"]";
        refused("twice", twice, &[], &at(1, 3), &["`a` has two routes"]);
        let unknown = "[routing]\ndefault_model = \"nosuchmodel\"";
        refused("model", unknown, &[], &at(2, 1), &["`nosuchmodel`", "[[models]]"]);
    }

    #[test]
    fn clients_and_limits_are_checked() {
        let at = |line: usize, column: usize| format!("gateway.toml:{line}:{column}: ");
        let zero = ["found `0`", "from 1 to"];
        refused("zero", &client("requests_per_minute = 0"), &[], &at(4, 1), &zero);
        refused("tokens", &client("tokens_per_minute = 0"), &[], &at(4, 1), &zero);
        let limits = client("model_limits = [{ model = \"gpt-5\", burst = 0 }]");
        refused("limits", &limits, &[], &at(4, 36), &zero);
        refused(
            "burst",
            &client("burst = 5"),
            &[],
            &at(1, 3),
            &["requests_per_minute", "set both"],
        );
        let pattern = client("models = [\"gtp-5*\"]");
        refused("pattern", &pattern, &[], &at(4, 1), &["`gtp-5*` matches no model"]);
        let tool = client("tools = [\"serach_*\"]");
        refused("tool", &tool, &[], &at(4, 1), &["there is no tool `serach_*`"]);
        let offered = "[tool_calls]\noffered = [\"semantic_serach\"]";
        refused("offered", offered, &[], &at(2, 1), &["`semantic_serach`", "`semantic_search`?"]);
        let two = client("key_env = \"K\"");
        refused("two", &two, &[("K", "k")], &at(3, 1), &["exactly one of `key`"]);
        let same = client(&client(""));
        refused("same", &same, &[], &at(1, 3), &["`a` and `a` have the same key"]);
        let public = [("LLM_GATEWAY_HOST", "0.0.0.0")];
        refused("public", "", &public, "LLM_GATEWAY_HOST: ", &["LLM_GATEWAY_API_KEYS"]);
    }

    #[test]
    fn values_are_checked() {
        let at = |line: usize, column: usize| format!("gateway.toml:{line}:{column}: ");
        let port = ["found `70000`", "from 1 to 65535"];
        refused("port", "[server]\nport = 70000", &[], &at(2, 1), &port);
        let ports = "[server]\nport = 9000\nhealth_port = 9000";
        refused("ports", ports, &[], &at(3, 1), &["server.health_port", "choose another"]);
        let duration = "[timeouts]\nidle = \"soon\"";
        refused("duration", duration, &[], &at(2, 1), &["found `soon`", "`10s`"]);
        let nested = "[timeouts]\ntotal = \"10s\"";
        refused(
            "nested",
            nested,
            &[],
            &at(1, 2),
            &["timeouts.first_byte", "longer than timeouts.total"],
        );
        let url = [("OLLAMA_URL", "localhost:11434")];
        refused(
            "url",
            "",
            &url,
            "OLLAMA_URL: ",
            &["`localhost:11434`", "`https://host:port/path`"],
        );
        let redis = ["malformed Redis URL", "`redis://user:password@host:6379`"];
        refused("redis", "", &[("REDIS_URL", "localhost:6379")], "REDIS_URL: ", &redis);
        refused("redis-port", "", &[("REDIS_URL", "redis://host:port")], "REDIS_URL: ", &redis);
        let key = "[providers.openai]\napi_key = \"os.environ/MY_KEY\"";
        refused("environ", key, &[], &at(2, 1), &["`api_key_env = \"MY_KEY\"`"]);
        let braces = "[providers.openai]\nbase_url = \"${BASE}\"";
        let variable = ["LLM_GATEWAY_PROVIDERS__OPENAI__BASE_URL"];
        refused("braces", braces, &[], &at(2, 1), &variable);
        let api = "[providers.openai]\napi_key = \"k\"\napi = \"messages\"";
        refused("api", api, &[], &at(1, 12), &["does not serve the API 'messages'"]);
        let missing = "[providers.openai]\napi_key_env = \"MY_KEY\"";
        refused("missing", missing, &[], &at(2, 1), &["MY_KEY holds no key"]);
        let own = [("OPENAI_BASE_URL", "http://localhost:8080/v1")];
        refused("own", "", &own, "OPENAI_BASE_URL: ", &["address of this gateway"]);
        let lab = "[providers.lab]\nmodels = [\"a\"]";
        refused("lab", lab, &[], &at(1, 12), &["providers.lab.base_url", "needed"]);
        let variable = [("LLM_GATEWAY_SERVER__PROT", "1")];
        refused("variable", "", &variable, "LLM_GATEWAY_SERVER__PROT: ", &["`port`?"]);
        let file = "[server]\ndata_dir = \"gateway.toml\"";
        refused("data", file, &[], &at(2, 1), &["`gateway.toml` is not a directory", "set"]);
        let postgres = ["malformed Postgres URL", "`postgres://user:password@host:5432/database`"];
        for (name, url) in [("pg", "localhost:5432"), ("pg-port", "postgres://h:port/d")] {
            refused(name, "", &[("DATABASE_URL", url)], "DATABASE_URL: ", &postgres);
        }
        let schema = "[store]\npostgres_url = \"postgres://h/d\"\npostgres_schema = \"a b\"";
        refused("pg-schema", schema, &[], &at(3, 1), &["store.postgres_schema", "letters"]);
        let missing = "[store]\nbackend = \"postgres\"";
        refused("pg-missing", missing, &[], "", &["store.postgres_url", "set DATABASE_URL"]);
        let ca = "[store]\nredis_url = \"rediss://h:1\"\nredis_ca_file = \"nosuch.pem\"";
        refused("ca", ca, &[], &at(2, 1), &["store.redis_url", "nosuch.pem"]);
        let admin = "[admin]\nlisten = \"0.0.0.0:8090\"\ntoken = \"t\"";
        refused("admin", admin, &[], &at(3, 1), &["admin.token", "128 random bits"]);
        let tool = "[[tools]]\nname = \"books\"\ndescription = \"d\"\nservice = \"library\"\n\
                    path = \"/x\"\nparameters = { type = \"object\" }";
        refused("service", tool, &[], &at(1, 3), &["'library' has no address"]);
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let file = "[sever]\n[server]\nport = 70000\n[aliases]\nfast = \"gtp-5-mini\"\n\
                    [[routes]]\nmodel = \"best\"\ntargets = [\"gtp-5\"]\n\
                    [[clients]]\nname = \"a\"\nkey = \"k-5f0c83a1d94e27b6c0e1a7f3925d8b46e1c07a9f\"\nrequests_per_minute = 0\n\
                    models = [\"nosuch-*\"]\ntools = [\"nosuch_tool\"]\n\
                    [store]\nredis_url = \"localhost:6379\"\n[providers.openai]\napi_key = \"${KEY}\"\n";
        let home = ConfigDirectory::new("all", file);
        let errors = String::from_utf8(home.run("check", &[]).stderr).unwrap();
        let mut lines: Vec<u32> =
            errors.lines().map(|line| line.split(':').nth(1).unwrap().parse().unwrap()).collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 3, 5, 8, 12, 13, 14, 16, 18], "{errors}");
    }

    #[test]
    fn start_that_only_another_configuration_mends_ends_with_78() {
        let served = |name: &str, file: &str| {
            let home = ConfigDirectory::new(name, file);
            let output = home.run("serve", &[]);
            let log = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(78), "{name}: {log}");
            log
        };
        // An address of the documentation range: no machine has it.
        let log = served("foreign", "[server]\nhost = \"192.0.2.1\"\nauth = \"off\"");
        assert!(log.contains("cannot listen on 192.0.2.1:8080"), "{log}");
    }

    #[test]
    fn weak_keys_serve_local_development_only() {
        let weak = "[[clients]]\nname = \"a\"\nkey = \"sk-gateway\"\n";
        let [public, production] = ["host = \"0.0.0.0\"", "environment = \"production\""];
        for (name, setting) in [("weak-public", public), ("weak-production", production)] {
            let file = format!("{weak}[server]\n{setting}");
            refused(name, &file, &[], "gateway.toml:3:1: clients[0].key: ", &["128 random bits"]);
        }
        let short = weak.replace("sk-gateway", "x");
        refused("short", &short, &[], "gateway.toml:3:1: clients[0].key: ", &["128 random bits"]);
        let output = ConfigDirectory::new("weak", weak).run("check", &[]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }

    /// Checks that `check` accepts a configuration.
    #[track_caller]
    fn accepted(name: &str, file: &str) {
        let output = ConfigDirectory::new(name, file).run("check", &[]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{name}");
    }

    #[test]
    fn open_names_are_accepted() {
        let lab = "[providers.lab]\nbase_url = \"http://l\"\nmodels = [\"qwen-*\"]\n";
        accepted("family", &format!("{lab}[aliases]\nfast = \"qwen-3\"\nlab1 = \"lab/phi\""));
        accepted(
            "patterns",
            &format!("{lab}{}", client("models = [\"qwen-*\", \"lab/*\", \"gpt-*\"]")),
        );
        accepted(
            "group",
            "[aliases]\nbest = \"top\"\n[[routes]]\nmodel = \"top\"\ntargets = [\"gpt-5\"]",
        );
        let default = "[routing]\ndefault_provider = \"ollama\"\ndefault_model = \"anything\"\n";
        accepted("default", &format!("{default}{}", client("models = [\"whatever*\"]")));
        accepted("tools", &client("tools = [\"*\", \"search_*\"]"));
        accepted("mcp", "[mcp.lab]\nurl = \"http://lab\"\n[tool_calls]\noffered = [\"lab_x\"]");
    }
}
