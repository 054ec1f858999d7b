// schema.json and env_example.json of a repository.
#include "pepeunit/schema/schema.h"

#include <set>

#include "fuzz.h"

using namespace pepeunit::schema;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = TextOf(data, size);
  const SchemaResult result = ParseSchema(text);
  FUZZ_CHECK(result.ok() || !result.problems.empty());
  if (result.ok()) {
    std::set<std::string> names;
    for (const auto* list : {&result.schema.inputs, &result.schema.outputs}) {
      for (const Variable& variable : *list) {
        FUZZ_CHECK(!variable.name.empty() && variable.name.size() <= 64 && names.insert(variable.name).second);
        // What a schema promises is something that its own rules take.
        if (variable.default_value && !variable.default_value->is_null())
          FUZZ_CHECK(CheckValue(variable, *variable.default_value, "x").ok());
        for (const auto& choice : variable.choices) (void)Carry(choice, variable);
      }
    }
  }
  const EnvResult env = ParseEnvExample(text);
  FUZZ_CHECK(env.ok() || !env.problems.empty());
  return 0;
}
