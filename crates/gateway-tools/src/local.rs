//! Tools that need no service.

use async_trait::async_trait;
use gateway_core::{Json, Tool, ToolContext, ToolError, ToolErrorCode, ToolSpec};
use serde::Deserialize;
use serde_json::json;

/// A tool that returns its arguments.
#[derive(Debug)]
pub(crate) struct EchoTool(ToolSpec);

impl EchoTool {
    pub(crate) fn new() -> Self {
        let schema = json!({
            "type": "object",
            "properties": { "message": { "type": "string", "description": "The message to return." } },
            "required": ["message"],
        });
        Self(ToolSpec::function("echo", "Returns a message unchanged.", Json::of(&schema)))
    }
}

#[derive(Deserialize)]
struct EchoArgs {
    message: String,
}

#[async_trait]
impl Tool for EchoTool {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, arguments: &str, _: &ToolContext) -> Result<Json, ToolError> {
        let EchoArgs { message } = read(arguments)?;
        Ok(Json::of(&json!({ "echoed": message })))
    }
}

/// A tool that evaluates one arithmetic operation.
#[derive(Debug)]
pub(crate) struct CalculatorTool(ToolSpec);

impl CalculatorTool {
    pub(crate) fn new() -> Self {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": "number" },
                "b": { "type": "number" },
                "operation": {
                    "type": "string",
                    "enum": ["add", "subtract", "multiply", "divide"],
                    "default": "add",
                },
            },
            "required": ["a", "b"],
        });
        let description = "Adds, subtracts, multiplies or divides two numbers.";
        Self(ToolSpec::function("calculator", description, Json::of(&schema)))
    }
}

#[derive(Deserialize)]
struct CalculatorArgs {
    a: serde_json::Number,
    b: serde_json::Number,
    #[serde(default)]
    operation: ArithmeticOperation,
}

#[derive(Clone, Copy, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum ArithmeticOperation {
    #[default]
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl CalculatorArgs {
    /// Exact for whole numbers as long as the result is one that fits.
    fn result(&self) -> Option<serde_json::Number> {
        if let (Some(a), Some(b)) = (self.a.as_i64(), self.b.as_i64()) {
            let exact = match self.operation {
                ArithmeticOperation::Add => a.checked_add(b),
                ArithmeticOperation::Subtract => a.checked_sub(b),
                ArithmeticOperation::Multiply => a.checked_mul(b),
                ArithmeticOperation::Divide => {
                    a.checked_rem(b).filter(|rest| *rest == 0).and_then(|_| a.checked_div(b))
                }
            };
            if let Some(exact) = exact {
                return Some(exact.into());
            }
        }
        let (a, b) = (self.a.as_f64()?, self.b.as_f64()?);
        // What is not finite is no JSON number.
        serde_json::Number::from_f64(match self.operation {
            ArithmeticOperation::Add => a + b,
            ArithmeticOperation::Subtract => a - b,
            ArithmeticOperation::Multiply => a * b,
            ArithmeticOperation::Divide => a / b,
        })
    }
}

#[async_trait]
impl Tool for CalculatorTool {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, arguments: &str, _: &ToolContext) -> Result<Json, ToolError> {
        let sum: CalculatorArgs = read(arguments)?;
        let result = sum.result().ok_or_else(|| {
            ToolError::new(ToolErrorCode::Failed, "the result is not a finite number")
        })?;
        let CalculatorArgs { a, b, operation } = sum;
        Ok(Json::of(&json!({ "result": result, "operation": operation, "a": a, "b": b })))
    }
}

fn read<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, ToolError> {
    serde_json::from_str(arguments).map_err(|error| ToolError::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[track_caller]
    fn check(tool: &dyn Tool, arguments: &str, expected: Result<&str, ToolErrorCode>) {
        let context = ToolContext::default();
        let outcome = tool.call(arguments, &context).now_or_never().unwrap();
        let outcome = outcome.as_ref().map(Json::get).map_err(|error| error.code);
        assert_eq!(outcome, expected, "{arguments}");
    }

    #[test]
    fn echo_returns_its_arguments() {
        check(&EchoTool::new(), r#"{"message":"a\"\n"}"#, Ok(r#"{"echoed":"a\"\n"}"#));
        check(&EchoTool::new(), "{}", Err(ToolErrorCode::InvalidArguments));
    }

    #[test]
    fn sum_is_computed() {
        let sum = |a: &str, operation: &str, b: &str, expected| {
            let arguments = format!(r#"{{"a":{a},"b":{b},"operation":"{operation}"}}"#);
            let whole =
                format!(r#"{{"a":{a},"b":{b},"operation":"{operation}","result":{expected}}}"#);
            check(&CalculatorTool::new(), &arguments, Ok(&whole));
        };
        sum("2", "add", "3", "5");
        sum("2", "subtract", "3", "-1");
        sum("9007199254740993", "multiply", "1", "9007199254740993");
        sum("6", "divide", "3", "2");
        sum("1", "divide", "4", "0.25");
        sum("0.5", "add", "0.25", "0.75");
    }

    #[test]
    fn plus_adds_numbers() {
        check(
            &CalculatorTool::new(),
            r#"{"a":1,"b":1}"#,
            Ok(r#"{"a":1,"b":1,"operation":"add","result":2}"#),
        );
    }

    #[test]
    fn undefined_calculation_fails() {
        for arguments in [r#"{"a":1,"b":0,"operation":"divide"}"#, r#"{"a":1e308,"b":1e308}"#] {
            check(&CalculatorTool::new(), arguments, Err(ToolErrorCode::Failed));
        }
    }
}
