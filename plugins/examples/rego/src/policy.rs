//! A policy's text, and what it says to a question.

use regorus::{Engine, Value};

pub(crate) struct Policy(Engine);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    /// Nothing at all, too, and anything that is not `true`.
    No,
}

impl Policy {
    /// Reads a module and the data that it looks into. Fails with where it cannot be understood.
    pub(crate) fn read(text: &str, data: &serde_json::Value) -> Result<Self, String> {
        let mut engine = Engine::new();
        engine
            .add_policy("policy".to_owned(), text.to_owned())
            .and_then(|_| engine.add_data(Value::from(data.clone())))
            .map_err(|error| error.to_string().trim().to_owned())?;
        Ok(Self(engine))
    }

    /// Whether it has this rule, and what it calls is there: it is asked about nothing, and has to
    /// bear that.
    pub(crate) fn check(self, rule: &str) -> Result<(), String> {
        let nothing = serde_json::json!({"action": "", "credentials": {}, "target": {}});
        let answer = self.evaluate(rule, &nothing);
        answer
            .map(drop)
            .map_err(|error| format!("asked about nothing, {error}"))
    }

    /// What a rule says to an input. An error in between is no answer: a rule that asks whether
    /// another one does not hold would take it for a yes.
    pub(crate) fn evaluate(
        mut self,
        rule: &str,
        input: &serde_json::Value,
    ) -> Result<Answer, String> {
        self.0.set_input(Value::from(input.clone()));
        match self.0.eval_rule(rule.to_owned()) {
            Ok(Value::Bool(true)) => Ok(Answer::Yes),
            Ok(_) => Ok(Answer::No),
            Err(error) => Err(format!("{rule}: {}", error.to_string().trim())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULE: &str = "data.keystone.allow";
    const POLICY: &str = r#"
        package keystone

        allow if not frozen

        frozen if {
            startswith(input.action, "identity:delete_")
            input.target["target.user.domain_id"] in data.frozen
        }
    "#;

    fn ask(text: &str, input: &serde_json::Value) -> Result<Answer, String> {
        Policy::read(text, &json!({"frozen": ["acme"]}))?.evaluate(RULE, input)
    }

    fn refused(text: &str) -> String {
        Policy::read(text, &json!({}))
            .and_then(|policy| policy.check(RULE))
            .expect_err("it is refused")
    }

    #[test]
    fn a_policy_sees_the_question_and_its_data() {
        let of = |domain: &str| json!({"action": "identity:delete_user", "target": {"target.user.domain_id": domain}});
        assert_eq!(ask(POLICY, &of("acme")), Ok(Answer::No));
        assert_eq!(ask(POLICY, &of("globex")), Ok(Answer::Yes));
    }

    #[test]
    fn what_is_not_true_is_no_yes() {
        for text in [
            "package keystone\nallow if input.absent",
            "package keystone\nallow := \"true\"",
            "package keystone\nallow := 1",
            "package keystone\ndefault allow := false",
        ] {
            assert_eq!(ask(text, &json!({})), Ok(Answer::No), "{text}");
        }
    }

    #[test]
    fn an_error_on_the_way_is_no_answer() {
        let text = "package keystone\nallow if not bad\nbad if to_number(input.action) > 1";
        assert!(ask(text, &json!({"action": "no number"})).is_err());
    }

    #[test]
    fn a_policy_that_cannot_be_used_is_refused_with_the_reason() {
        let syntax = refused("package keystone\n\nallow if {");
        assert!(syntax.contains("policy:3"), "{syntax}");
        let rule = refused("package keystone\n\npermit := true");
        assert!(rule.contains(RULE), "{rule}");
        let function = refused("package keystone\n\nallow if no_such_function(1)");
        assert!(function.contains("no_such_function"), "{function}");
        let unsafe_variable = refused("package keystone\n\nallow if x == y");
        assert!(unsafe_variable.contains("unsafe"), "{unsafe_variable}");
    }
}
