#include "pepeunit/schema/schema.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "document.h"
#include "pepeunit/base/errors.h"

namespace pepeunit::schema {
namespace {

constexpr char kSchemaFile[] = "schema.json";
constexpr std::size_t kSchemaMaxBytes = 256u << 10;
constexpr std::size_t kMaxVariables = 512;
constexpr std::size_t kMaxText = 1024;
using Json = nlohmann::ordered_json;

bool IsName(const std::string& name) {
  if (name.empty() || name.size() > 64) return false;
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

// Reads one file; every problem is added and reading goes on, so that an author sees all of them at once.
class Reader {
 public:
  explicit Reader(const Document& document, SchemaResult* out) : document_(document), out_(out) {}

  void ReadAll() {
    for (const auto& [section, content] : document_.json.items()) {
      if (section == "world_state")
        ReadWorldState(content);
      else if (section == "unit_state")
        ReadSection(section, content, &out_->schema.unit_state);
      else if (section == "input_variables")
        ReadSection(section, content, &out_->schema.inputs);
      else if (section == "output_variables")
        ReadSection(section, content, &out_->schema.outputs);
      else if (section != "pepeunit" && section != "$schema")
        Warn(section, "this section is not known here; it is kept");
    }
    if (out_->schema.inputs.empty() && out_->schema.outputs.empty()) {
      Warn("", "there is neither an input nor an output variable");
    }
    CheckNames();
  }

 private:
  void Fail(const std::string& field, const std::string& message) {
    out_->problems.push_back({kSchemaFile, document_.LineOf(field), field, message, false});
  }
  void Warn(const std::string& field, const std::string& message) {
    out_->problems.push_back({kSchemaFile, document_.LineOf(field), field, message, true});
  }

  void ReadWorldState(const Json& content) {
    const auto add = [this](const std::string& field, const std::string& name) {
      if (name != "utc" && name != "unix_ms")
        Warn(field, "this instance does not know this fact; it knows utc and unix_ms");
      out_->schema.world_state.push_back(name);
    };
    if (content.is_object()) {
      for (const auto& [name, ignored] : content.items()) add("world_state." + name, name);
    } else if (content.is_array()) {
      for (std::size_t i = 0; i < content.size(); ++i) {
        const std::string field = "world_state[" + std::to_string(i) + "]";
        if (content[i].is_string())
          add(field, content[i].get<std::string>());
        else
          Fail(field, "must be the name of a fact, a string");
      }
    } else {
      Fail("world_state", "must be a list of names or an object of them");
    }
  }

  void ReadSection(const std::string& section, const Json& content, std::vector<Variable>* out) {
    if (!content.is_array() && !content.is_object()) {
      return Fail(section, "must be a list of names or an object from name to definition");
    }
    if (content.size() > kMaxVariables) {
      return Fail(section, "has more than " + std::to_string(kMaxVariables) + " variables");
    }
    if (content.is_object()) {
      for (const auto& [name, definition] : content.items())
        ReadVariable(section, section + "." + name, name, definition, out);
      return;
    }
    for (std::size_t i = 0; i < content.size(); ++i) {
      const std::string field = section + "[" + std::to_string(i) + "]";
      if (content[i].is_string())
        ReadVariable(section, field, content[i].get<std::string>(), Json::object(), out);
      else
        Fail(field, "must be the name of a variable, a string; definitions need the form {name: {...}}");
    }
  }

  void ReadVariable(const std::string& section, const std::string& field, const std::string& name,
                    const Json& definition, std::vector<Variable>* out) {
    if (!IsName(name)) {
      return Fail(field, "a name has 1 to 64 of A-Z, a-z, 0-9, '_', '-' and '.', and begins with a letter or '_'");
    }
    if (!definition.is_object())
      return Fail(field, "the definition must be an object, for example {\"type\": \"number\"}");
    Variable v;
    v.name = name;
    const bool input = section == "input_variables", output = section == "output_variables";
    // The type first: what else is allowed depends on it.
    if (const auto type = definition.find("type"); type != definition.end()) {
      const auto known = type->is_string() ? ParseType(type->get<std::string>()) : std::nullopt;
      if (!known) return Fail(field + ".type", "must be number, integer, boolean, string or json");
      v.type = *known;
    }
    for (const auto& [key, value] : definition.items()) {
      const std::string at = field + "." + key;
      if (key == "type")
        continue;
      else if (key == "unit")
        ReadText(at, value, 64, &v.unit);
      else if (key == "description")
        ReadText(at, value, kMaxText, &v.description);
      else if (key == "minimum")
        ReadBound(at, value, v, &v.minimum);
      else if (key == "maximum")
        ReadBound(at, value, v, &v.maximum);
      else if (key == "choices")
        ReadChoices(at, value, &v);
      else if (key == "default")
        v.default_value = nlohmann::json(value);
      else if (key == "writable_by" && input)
        ReadWritableBy(at, value, &v);
      else if (key == "logging" && output)
        ReadLogging(at, value, &v);
      else if (key == "writable_by")
        Fail(at, "only input variables are written; remove it");
      else if (key == "logging")
        Fail(at, "only output variables are logged; remove it");
      else
        Warn(at, "this key is not known here; it is kept");
    }
    if (v.minimum && v.maximum && *v.minimum > *v.maximum) Fail(field + ".minimum", "is above maximum");
    CheckAgainstItself(field, v);
    out->push_back(std::move(v));
  }

  void ReadText(const std::string& field, const Json& value, std::size_t most, std::string* out) {
    if (!value.is_string()) return Fail(field, "must be a string");
    if (value.get_ref<const std::string&>().size() > most)
      return Fail(field, "has more than " + std::to_string(most) + " bytes");
    *out = value.get<std::string>();
  }

  void ReadBound(const std::string& field, const Json& value, const Variable& v, std::optional<double>* out) {
    if (v.type != Type::kNumber && v.type != Type::kInteger)
      return Fail(field, "only numbers and integers have bounds");
    if (!value.is_number()) return Fail(field, "must be a number");
    *out = value.get<double>();
  }

  void ReadChoices(const std::string& field, const Json& value, Variable* v) {
    if (!value.is_array() || value.empty() || value.size() > 128)
      return Fail(field, "must be a list of 1 to 128 values");
    for (const auto& choice : value) v->choices.emplace_back(nlohmann::json(choice));
  }

  void ReadWritableBy(const std::string& field, const Json& value, Variable* v) {
    v->people_may_write = v->links_may_write = false;
    if (!value.is_array()) return Fail(field, "must be a list of \"people\" and \"links\", which may be empty");
    for (const auto& who : value) {
      if (who == "people")
        v->people_may_write = true;
      else if (who == "links")
        v->links_may_write = true;
      else
        Fail(field, "knows only \"people\" and \"links\"");
    }
  }

  void ReadLogging(const std::string& field, const Json& value, Variable* v) {
    const std::string modes = "must be \"direct\", \"off\", \"mean\", \"median\", \"on_change\" or \"rate\"";
    const Json* mode = &value;
    if (value.is_object()) {
      const auto found = value.find("mode");
      if (found == value.end()) return Fail(field + ".mode", "is missing; it " + modes);
      mode = &*found;
    }
    if (!mode->is_string() || !ParseMode(mode->get_ref<const std::string&>(), &v->logging.mode))
      return Fail(value.is_object() ? field + ".mode" : field, modes);
    if (value.is_object()) {
      for (const auto& [key, setting] : value.items()) ReadLoggingKey(field, key, setting, v);
    }
    CheckLogging(v->logging, v->type, [&](const std::string& at, const std::string& what) {
      // The names there say the unit, which the durations here bring along.
      Fail(field + "." + (at.ends_with("_s") ? at.substr(0, at.size() - 2) : at), what);
    });
  }

  void ReadLoggingKey(const std::string& field, const std::string& key, const Json& value, Variable* v) {
    Logging& logging = v->logging;
    const std::string at = field + "." + key;
    const std::map<std::string, std::int64_t*> durations = {
        {"window", &logging.window_s}, {"grace", &logging.grace_s}, {"every", &logging.every_s}, {"keep", &logging.keep_s}};
    if (const auto duration = durations.find(key); duration != durations.end()) {
      const std::string text = value.is_string() ? value.get<std::string>() : value.is_number_integer() ? value.dump() : "";
      if (!ParseSeconds(text, duration->second)) Fail(at, "must be a duration such as \"30s\", \"15m\", \"1h\" or \"7d\"");
    } else if (key == "dead_band") {
      value.is_number() ? void(logging.dead_band = value.get<double>()) : Fail(at, "must be a number");
    } else if (key != "mode") {
      Warn(at, "this key is not known here; it is kept");
    }
  }

  // Choices and the default must themselves be values of the variable.
  void CheckAgainstItself(const std::string& field, const Variable& v) {
    Variable open = v;
    open.choices.clear();
    for (std::size_t i = 0; i < v.choices.size(); ++i) {
      const std::string at = field + ".choices[" + std::to_string(i) + "]";
      if (const auto status = CheckValue(open, v.choices[i], at); !status.ok())
        Fail(at, InfoOf(status).violations[0].description);
    }
    if (!v.default_value || v.default_value->is_null()) return;
    const std::string at = field + ".default";
    if (const auto status = CheckValue(v, *v.default_value, at); !status.ok())
      Fail(at, InfoOf(status).violations[0].description);
  }

  // Inputs and outputs share a namespace: a device's program, a link and a person name a variable by it alone.
  void CheckNames() {
    std::set<std::string> seen;
    const auto check = [&](const char* section, const std::vector<Variable>& variables) {
      for (const Variable& v : variables) {
        if (!seen.insert(v.name).second) {
          Fail(std::string(section) + "." + v.name, "the name is used twice among inputs and outputs");
        }
      }
    };
    check("input_variables", out_->schema.inputs);
    check("output_variables", out_->schema.outputs);
  }

  const Document& document_;
  SchemaResult* out_;
};

bool NoErrors(const std::vector<Problem>& problems) {
  return std::all_of(problems.begin(), problems.end(), [](const Problem& p) { return p.warning; });
}

}  // namespace

bool SchemaResult::ok() const { return NoErrors(problems); }
bool EnvResult::ok() const { return NoErrors(problems); }

SchemaResult ParseSchema(std::string_view text) {
  SchemaResult result;
  Document document = ReadDocument(kSchemaFile, text, kSchemaMaxBytes);
  result.problems = document.problems;
  if (result.ok()) Reader(document, &result).ReadAll();
  return result;
}

}  // namespace pepeunit::schema
