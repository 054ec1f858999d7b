#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <unordered_map>

#include "expression.h"

namespace pepeunit::promql {
namespace {

constexpr char kNameLabel[] = "__name__";

// Thrown inside of this file only.
struct Stopped {
  absl::Status status;
};

[[noreturn]] void Refuse(const std::string& what) { throw Stopped{absl::FailedPreconditionError(what)}; }

void DropName(Columns* columns) {
  for (Column& column : *columns) column.labels.erase(kNameLabel);
}

std::string Text(const Labels& labels) {
  std::string text = "{";
  for (const auto& [name, value] : labels) text += (text.size() > 1 ? ", " : "") + name + "=\"" + value + "\"";
  return text + "}";
}

Labels Only(const Labels& labels, const std::vector<std::string>& names) {
  Labels kept;
  for (const std::string& name : names) {
    if (const auto found = labels.find(name); found != labels.end()) kept.insert(*found);
  }
  return kept;
}

Labels Without(Labels labels, const std::vector<std::string>& names) {
  labels.erase(kNameLabel);
  for (const std::string& name : names) labels.erase(name);
  return labels;
}

double Arithmetic(const std::string& op, double a, double b) {
  switch (op[0]) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return std::fmod(a, b);
    default:
      return std::pow(a, b);
  }
}

bool Compare(const std::string& op, double a, double b) {
  if (op == "==") return a == b;
  if (op == "!=") return a != b;
  if (op == "<") return a < b;
  if (op == "<=") return a <= b;
  if (op == ">") return a > b;
  return a >= b;
}

// What one aggregation knows of one group at one step.
struct Group {
  double count = 0, value = 0, mean = 0;
  std::vector<double> values;                            // for quantile
  std::vector<std::pair<double, std::size_t>> selected;  // for topk and bottomk: value, column

  void Add(const std::string& op, double v, std::size_t column) {
    ++count;
    if (op == "sum") {
      value += v;
    } else if (op == "avg") {
      if (std::isinf(mean) && (std::isinf(v) ? (mean > 0) == (v > 0) : !std::isnan(v))) return;
      mean += v / count - mean / count;
    } else if (op == "min" || op == "max") {
      if (count == 1 || std::isnan(value) || (op == "min" ? v < value : v > value)) value = v;
    } else if (op == "stddev" || op == "stdvar") {
      const double delta = v - mean;
      mean += delta / count;
      value += delta * (v - mean);
    } else if (op == "quantile") {
      values.push_back(v);
    } else if (op == "topk" || op == "bottomk") {
      selected.emplace_back(v, column);
    }
  }
  double Get(const std::string& op, double parameter) {
    if (count == 0) return kAbsent;
    if (op == "avg") return mean;
    if (op == "count") return count;
    if (op == "group") return 1;
    if (op == "stdvar") return value / count;
    if (op == "stddev") return std::sqrt(value / count);
    if (op == "quantile") return Quantile(parameter, std::move(values));
    return value;
  }
};

class Evaluator {
 public:
  Evaluator(Source& source, const Steps& steps, const Limits& limits)
      : source_(source), steps_(steps), limits_(limits) {}

  Columns Of(const Expression& e) {
    if (limits_.cancelled()) throw Stopped{absl::CancelledError("the query was cancelled")};
    switch (e.kind) {
      case Kind::kNumber:
        return {{{}, std::vector<double>(steps_.count, e.number)}};
      case Kind::kSelector:
        return Instants(e, false);
      case Kind::kNegate:
        return Negate(e);
      case Kind::kCall:
        return Call(e);
      case Kind::kAggregate:
        return Aggregate(e);
      case Kind::kBinary:
        return Binary(e);
      case Kind::kString:
        break;
    }
    return {};
  }

 private:
  Column NewColumn(Labels labels) {
    cells_ += steps_.count;
    if (cells_ > limits_.samples)
      Refuse("the query makes more than " + std::to_string(limits_.samples) +
             " values; ask for fewer series or a longer step");
    return {std::move(labels), std::vector<double>(steps_.count, kAbsent)};
  }

  std::vector<Series> Select(const Expression& e, std::int64_t back_ms) {
    const std::int64_t from_ms = steps_.at(0) - e.offset_ms - back_ms,
                       to_ms = steps_.at(steps_.count - 1) - e.offset_ms;
    auto series = source_.Select(e.matchers, from_ms, to_ms);
    if (!series.ok()) throw Stopped{series.status()};
    std::size_t selected = 0;
    for (const Series& one : *series) selected += one.samples.size();
    selected_ += selected;
    if (selected_ > limits_.samples)
      Refuse("the query reads more than " + std::to_string(limits_.samples) +
             " samples; ask for fewer series or a shorter time");
    return *std::move(series);
  }

  // The newest sample of the last minutes at each step; or when it was.
  Columns Instants(const Expression& e, bool times) {
    Columns columns;
    for (Series& series : Select(e, limits_.lookback_ms)) {
      Column column = NewColumn(std::move(series.labels));
      std::size_t next = 0;
      for (std::size_t step = 0; step < steps_.count; ++step) {
        const std::int64_t at_ms = steps_.at(step) - e.offset_ms;
        while (next < series.samples.size() && series.samples[next].time_ms <= at_ms) ++next;
        if (next == 0 || series.samples[next - 1].time_ms <= at_ms - limits_.lookback_ms) continue;
        const Sample& sample = series.samples[next - 1];
        column.values[step] = times ? static_cast<double>(sample.time_ms) / 1'000 : sample.value;
      }
      Keep(std::move(column), &columns);
    }
    return columns;
  }

  static void Keep(Column column, Columns* columns) {
    if (!std::all_of(column.values.begin(), column.values.end(), IsAbsent)) columns->push_back(std::move(column));
  }

  Columns Windows(const Expression& call) {
    const Function& function = *call.function;
    const std::size_t place = function.arguments[0] == ValueType::kRange ? 0 : 1;
    const Expression& e = *call.arguments[place];
    const std::vector<double> other =
        call.arguments.size() > 1 ? Scalar(*call.arguments[1 - place]) : std::vector<double>(steps_.count, 0);
    Columns columns;
    for (Series& series : Select(e, e.range_ms)) {
      Column column = NewColumn(std::move(series.labels));
      const Sample *begin = series.samples.data(), *end = begin, *last = begin + series.samples.size();
      for (std::size_t step = 0; step < steps_.count; ++step) {
        Window window;
        window.at_ms = steps_.at(step);
        window.to_ms = window.at_ms - e.offset_ms;
        window.from_ms = window.to_ms - e.range_ms;
        while (end != last && end->time_ms <= window.to_ms) ++end;
        while (begin != end && begin->time_ms < window.from_ms) ++begin;
        if (begin == end) continue;
        window.begin = begin, window.end = end;
        column.values[step] = function.of_window(window, other[step]);
      }
      Keep(std::move(column), &columns);
    }
    if (std::string(function.name) != "last_over_time") Renamed(&columns);
    return columns;
  }

  // Without the name of the metric, which the values are not any more.
  static void Renamed(Columns* columns) {
    DropName(columns);
    CheckUnique(*columns);
  }

  // At no step two of the same labels.
  static void CheckUnique(const Columns& columns) {
    std::map<Labels, std::vector<const Column*>> by_labels;
    for (const Column& column : columns) {
      auto& same = by_labels[column.labels];
      for (const Column* other : same) {
        for (std::size_t step = 0; step < column.values.size(); ++step) {
          if (!IsAbsent(column.values[step]) && !IsAbsent(other->values[step]))
            Refuse("vector cannot contain metrics with the same labelset");
        }
      }
      same.push_back(&column);
    }
  }

  std::vector<double> Scalar(const Expression& e) { return Of(e).at(0).values; }

  Columns Negate(const Expression& e) {
    Columns columns = Of(*e.arguments[0]);
    for (Column& column : columns) {
      for (double& value : column.values) {
        if (!IsAbsent(value)) value = -value;
      }
    }
    Renamed(&columns);
    return columns;
  }

  Columns Call(const Expression& e) {
    const Function& function = *e.function;
    if (function.of_window != nullptr) return Windows(e);
    if (function.of_value != nullptr) return EachValue(e);
    const std::string name = function.name;
    if (name == "time") {
      Column column = NewColumn({});
      for (std::size_t step = 0; step < steps_.count; ++step)
        column.values[step] = static_cast<double>(steps_.at(step)) / 1'000;
      return {std::move(column)};
    }
    if (name == "vector") return Of(*e.arguments[0]);
    if (name == "timestamp") return Timestamps(*e.arguments[0]);
    if (name == "scalar") return ToScalar(Of(*e.arguments[0]));
    if (name == "absent") return Absent(*e.arguments[0]);
    if (name == "label_replace") return ReplaceLabel(e);
    return Of(*e.arguments[0]);  // sort and sort_desc: results are ordered where they are made
  }

  Columns EachValue(const Expression& e) {
    Columns columns = Of(*e.arguments[0]);
    const auto other = [&](std::size_t place, double otherwise) {
      return e.arguments.size() > place ? Scalar(*e.arguments[place]) : std::vector<double>(steps_.count, otherwise);
    };
    const std::vector<double> a = other(1, 1), b = other(2, 0);
    for (Column& column : columns) {
      for (std::size_t step = 0; step < steps_.count; ++step) {
        double& value = column.values[step];
        if (!IsAbsent(value)) value = e.function->of_value(value, a[step], b[step]);
      }
    }
    Renamed(&columns);
    return columns;
  }

  Columns Timestamps(const Expression& argument) {
    Columns columns = argument.kind == Kind::kSelector ? Instants(argument, true) : Of(argument);
    if (argument.kind != Kind::kSelector) {
      for (Column& column : columns) {
        for (std::size_t step = 0; step < steps_.count; ++step) {
          if (!IsAbsent(column.values[step])) column.values[step] = static_cast<double>(steps_.at(step)) / 1'000;
        }
      }
    }
    Renamed(&columns);
    return columns;
  }

  Columns ToScalar(const Columns& columns) {
    Column scalar = NewColumn({});
    for (std::size_t step = 0; step < steps_.count; ++step) {
      double value = kAbsent;
      int found = 0;
      for (const Column& column : columns) {
        if (!IsAbsent(column.values[step])) value = column.values[step], ++found;
      }
      scalar.values[step] = found == 1 ? value : std::numeric_limits<double>::quiet_NaN();
    }
    return {std::move(scalar)};
  }

  Columns Absent(const Expression& argument) {
    Labels labels;  // what the selector says of them
    std::set<std::string> twice;
    for (const Matcher& matcher : argument.matchers) {
      if (matcher.name() == kNameLabel) continue;
      if (matcher.type() != Matcher::Type::kEqual || labels.count(matcher.name()) != 0) twice.insert(matcher.name());
      labels[matcher.name()] = matcher.value();
    }
    for (const std::string& name : twice) labels.erase(name);
    std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
    const Columns columns = Of(argument);
    Column absent = NewColumn(std::move(labels));
    for (std::size_t step = 0; step < steps_.count; ++step) {
      const bool any =
          std::any_of(columns.begin(), columns.end(), [&](const Column& c) { return !IsAbsent(c.values[step]); });
      if (!any) absent.values[step] = 1;
    }
    Columns result;
    Keep(std::move(absent), &result);
    return result;
  }

  Columns ReplaceLabel(const Expression& e) {
    const std::string &target = e.arguments[1]->text, &replacement = e.arguments[2]->text, &from = e.arguments[3]->text;
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    const RE2 regex(e.arguments[4]->text, options);
    if (!regex.ok()) Refuse("invalid regular expression in label_replace(): " + e.arguments[4]->text);
    if (!RE2::FullMatch(target, "[a-zA-Z_][a-zA-Z0-9_]*"))
      Refuse("invalid destination label name in label_replace(): " + target);
    Columns columns = Of(*e.arguments[0]);
    for (Column& column : columns) {
      const auto found = column.labels.find(from);
      const std::string value = found == column.labels.end() ? "" : found->second;
      std::vector<re2::StringPiece> groups(static_cast<std::size_t>(regex.NumberOfCapturingGroups()) + 1);
      if (!regex.Match(value, 0, value.size(), RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size())))
        continue;
      const std::string made = Expanded(replacement, regex, groups);
      made.empty() ? void(column.labels.erase(target)) : void(column.labels[target] = made);
    }
    CheckUnique(columns);
    return columns;
  }

  // `$1`, `${1}`, `$name`, `${name}` and `$$`, as Go's Regexp.Expand.
  static std::string Expanded(const std::string& text, const RE2& regex, const std::vector<re2::StringPiece>& groups) {
    std::string made;
    const auto& names = regex.NamedCapturingGroups();
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] != '$' || at + 1 == text.size()) {
        made += text[at];
        continue;
      }
      if (text[at + 1] == '$') {
        made += text[++at];
        continue;
      }
      const bool braces = text[at + 1] == '{';
      std::size_t begin = at + (braces ? 2 : 1), end = begin;
      while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
      if (end == begin || (braces && (end == text.size() || text[end] != '}'))) {
        made += text[at];
        continue;
      }
      const std::string name = text.substr(begin, end - begin);
      std::size_t group = groups.size();
      if (name.find_first_not_of("0123456789") == std::string::npos) {
        group = name.size() > 4 ? groups.size() : static_cast<std::size_t>(std::stoi(name));
      } else if (const auto named = names.find(name); named != names.end()) {
        group = static_cast<std::size_t>(named->second);
      }
      if (group < groups.size()) made += std::string(groups[group]);
      at = braces ? end : end - 1;
    }
    return made;
  }

  Columns Aggregate(const Expression& e) {
    const bool parameter = e.arguments.size() == 2;
    const std::vector<double> parameters = parameter ? Scalar(*e.arguments[0]) : std::vector<double>(steps_.count, 0);
    const Columns columns = Of(*e.arguments.back());
    std::map<Labels, std::vector<std::size_t>> members;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const Labels& labels = columns[i].labels;
      members[e.without ? Without(labels, e.labels) : Only(labels, e.labels)].push_back(i);
    }
    if (e.text == "topk" || e.text == "bottomk") return Select(e.text, parameters, columns, members);
    Columns result;
    for (const auto& [labels, places] : members) {
      Column column = NewColumn(labels);
      for (std::size_t step = 0; step < steps_.count; ++step) {
        Group group;
        for (const std::size_t place : places) {
          const double value = columns[place].values[step];
          if (!IsAbsent(value)) group.Add(e.text, value, place);
        }
        column.values[step] = group.Get(e.text, parameters[step]);
      }
      Keep(std::move(column), &result);
    }
    return result;
  }

  Columns Select(const std::string& op, const std::vector<double>& parameters, const Columns& columns,
                 const std::map<Labels, std::vector<std::size_t>>& members) {
    Columns chosen;
    for (const Column& column : columns) chosen.push_back(NewColumn(column.labels));
    for (const auto& [labels, places] : members) {
      for (std::size_t step = 0; step < steps_.count; ++step) {
        Group group;
        for (const std::size_t place : places) {
          if (!IsAbsent(columns[place].values[step])) group.Add(op, columns[place].values[step], place);
        }
        const double k = parameters[step];
        const std::size_t most = std::isnan(k) || k < 1 ? 0 : static_cast<std::size_t>(std::min(k, 1e9));
        std::stable_sort(group.selected.begin(), group.selected.end(), [&](const auto& a, const auto& b) {
          if (std::isnan(a.first) || std::isnan(b.first)) return !std::isnan(a.first);
          return op == "topk" ? a.first > b.first : a.first < b.first;
        });
        for (std::size_t i = 0; i < std::min(most, group.selected.size()); ++i)
          chosen[group.selected[i].second].values[step] = group.selected[i].first;
      }
    }
    Columns result;
    for (Column& column : chosen) Keep(std::move(column), &result);
    return result;
  }

  Columns Binary(const Expression& e) {
    const bool left_scalar = e.arguments[0]->type == ValueType::kScalar,
               right_scalar = e.arguments[1]->type == ValueType::kScalar;
    if (left_scalar && right_scalar) return Scalars(e);
    if (!left_scalar && !right_scalar)
      return e.text == "and" || e.text == "or" || e.text == "unless" ? Sets(e) : Vectors(e);
    Columns columns = Of(*e.arguments[left_scalar ? 1 : 0]);
    const std::vector<double> scalar = Scalar(*e.arguments[left_scalar ? 0 : 1]);
    const bool comparison = IsComparison(e.text);
    for (Column& column : columns) {
      for (std::size_t step = 0; step < steps_.count; ++step) {
        double& value = column.values[step];
        if (IsAbsent(value)) continue;
        const double a = left_scalar ? scalar[step] : value, b = left_scalar ? value : scalar[step];
        if (!comparison) {
          value = Arithmetic(e.text, a, b);
        } else if (e.returns_bool) {
          value = Compare(e.text, a, b) ? 1 : 0;
        } else if (!Compare(e.text, a, b)) {
          value = kAbsent;
        }
      }
    }
    if (!comparison || e.returns_bool) Renamed(&columns);
    std::erase_if(columns, [](const Column& c) { return std::all_of(c.values.begin(), c.values.end(), IsAbsent); });
    return columns;
  }

  Columns Scalars(const Expression& e) {
    Column result = NewColumn({});
    const auto left = Scalar(*e.arguments[0]), right = Scalar(*e.arguments[1]);
    for (std::size_t step = 0; step < steps_.count; ++step) {
      result.values[step] = IsComparison(e.text) ? (Compare(e.text, left[step], right[step]) ? 1.0 : 0.0)
                                                 : Arithmetic(e.text, left[step], right[step]);
    }
    return {std::move(result)};
  }

  static Labels Signature(const Expression& e, const Labels& labels) {
    return e.has_matching && e.on ? Only(labels, e.labels) : Without(labels, e.labels);
  }

  // One to one: on neither side two of one signature at a step.
  Columns Vectors(const Expression& e) {
    const Columns left = Of(*e.arguments[0]), right = Of(*e.arguments[1]);
    std::map<Labels, std::vector<const Column*>> partners;
    for (const Column& column : right) partners[Signature(e, column.labels)].push_back(&column);
    const bool comparison = IsComparison(e.text), drops = !comparison || e.returns_bool;
    std::map<Labels, std::vector<char>> taken;
    Columns result;
    for (const Column& column : left) {
      const Labels signature = Signature(e, column.labels);
      const auto found = partners.find(signature);
      if (found == partners.end()) continue;
      Labels labels = column.labels;
      if (drops) labels.erase(kNameLabel);
      labels = e.has_matching && e.on ? Only(labels, e.labels)
               : e.has_matching       ? WithoutListed(labels, e.labels)
                                      : labels;
      Column made = NewColumn(std::move(labels));
      auto& used = taken.try_emplace(signature, steps_.count, char{0}).first->second;
      for (std::size_t step = 0; step < steps_.count; ++step) {
        const double a = column.values[step], b = At(found->second, step, signature);
        if (IsAbsent(a) || IsAbsent(b)) continue;
        double value = a;
        if (!comparison) {
          value = Arithmetic(e.text, a, b);
        } else if (e.returns_bool) {
          value = Compare(e.text, a, b) ? 1 : 0;
        } else if (!Compare(e.text, a, b)) {
          continue;
        }
        if (used[step] != 0)
          Refuse("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
        used[step] = 1;
        made.values[step] = value;
      }
      Keep(std::move(made), &result);
    }
    return result;
  }

  static Labels WithoutListed(Labels labels, const std::vector<std::string>& names) {
    for (const std::string& name : names) labels.erase(name);
    return labels;
  }

  static double At(const std::vector<const Column*>& columns, std::size_t step, const Labels& signature) {
    double value = kAbsent;
    for (const Column* column : columns) {
      if (IsAbsent(column->values[step])) continue;
      if (!IsAbsent(value))
        Refuse("found duplicate series for the match group " + Text(signature) +
               " on the right hand-side of the operation; many-to-many matching not allowed: matching labels must be "
               "unique on one side");
      value = column->values[step];
    }
    return value;
  }

  Columns Sets(const Expression& e) {
    Columns left = Of(*e.arguments[0]), right = Of(*e.arguments[1]);
    const Columns& other = e.text == "or" ? left : right;
    std::map<Labels, std::vector<char>> there;
    for (const Column& column : other) {
      auto& steps = there.try_emplace(Signature(e, column.labels), steps_.count, char{0}).first->second;
      for (std::size_t step = 0; step < steps_.count; ++step) {
        if (!IsAbsent(column.values[step])) steps[step] = 1;
      }
    }
    Columns result;
    for (Column& column : e.text == "or" ? right : left) {
      const auto found = there.find(Signature(e, column.labels));
      for (std::size_t step = 0; step < steps_.count; ++step) {
        const bool both = found != there.end() && found->second[step] != 0;
        if (both != (e.text == "and")) column.values[step] = kAbsent;
      }
      Keep(std::move(column), &result);
    }
    if (e.text == "or") {
      for (Column& column : left) result.push_back(std::move(column));
      Merge(&result);
    }
    return result;
  }

  // Of both sides of `or` the same labels are one series.
  void Merge(Columns* columns) {
    std::map<Labels, Column> merged;
    for (Column& column : *columns) {
      const auto [at, fresh] = merged.try_emplace(column.labels, column);
      for (std::size_t step = 0; !fresh && step < steps_.count; ++step) {
        if (!IsAbsent(column.values[step])) at->second.values[step] = column.values[step];
      }
    }
    columns->clear();
    for (auto& [labels, column] : merged) columns->push_back(std::move(column));
  }

  Source& source_;
  const Steps& steps_;
  const Limits& limits_;
  std::size_t cells_ = 0, selected_ = 0;
};

}  // namespace

absl::StatusOr<Columns> Evaluate(const Expression& expression, Source& source, const Steps& steps,
                                 const Limits& limits) {
  try {
    return Evaluator(source, steps, limits).Of(expression);
  } catch (const Stopped& stopped) {
    return stopped.status;
  }
}

}  // namespace pepeunit::promql
