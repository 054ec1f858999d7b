#include <re2/re2.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "expression.h"
#include "pepeunit/base/utf8.h"

namespace pepeunit::promql {
namespace {

constexpr std::int64_t kMostDurationMs = 300LL * 365 * 86'400'000;

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

struct Token {
  enum class Type { kEnd, kName, kNumber, kDuration, kString, kSymbol } type = Type::kEnd;
  std::size_t position = 0;
  std::string text;
  double number = 0;
  std::int64_t duration_ms = 0;
};

// Thrown inside of this file only.
struct Wrong {
  std::size_t position;
  std::string what;
};

// `1h30m`: each unit once, the larger first.
std::optional<std::int64_t> DurationOf(std::string_view text) {
  constexpr std::pair<const char*, std::int64_t> kUnits[] = {
      {"y", 31'536'000'000}, {"w", 604'800'000}, {"d", 86'400'000}, {"h", 3'600'000},
      {"m", 60'000},         {"s", 1'000},       {"ms", 1}};
  std::size_t unit = 0;
  std::int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || !IsDigit(text[0])) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::size_t letters = 0;
    while (letters < text.size() && !IsDigit(text[letters])) ++letters;
    while (unit < std::size(kUnits) && text.substr(0, letters) != kUnits[unit].first) ++unit;
    if (unit == std::size(kUnits) || number > kMostDurationMs / kUnits[unit].second) return std::nullopt;
    total += number * kUnits[unit++].second;
    text.remove_prefix(letters);
  }
  return total > kMostDurationMs ? std::nullopt : std::optional(total);
}

std::optional<double> NumberOf(const std::string& text) {
  const std::string lower = Lower(text);
  if (lower == "inf") return std::numeric_limits<double>::infinity();
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  if (lower.rfind("0x", 0) == 0) {
    std::uint64_t whole = 0;
    const auto [end, error] = std::from_chars(lower.data() + 2, lower.data() + lower.size(), whole, 16);
    if (error == std::errc() && end == lower.data() + lower.size()) return static_cast<double>(whole);
    return std::nullopt;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(lower.data(), lower.data() + lower.size(), number);
  if (end != lower.data() + lower.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(lower.c_str(), nullptr);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

class Lexer {
 public:
  explicit Lexer(const std::string& text) : text_(text) {}

  // `in_brackets`: a duration may stand here, else a number.
  Token Next() {
    SkipSpace();
    Token token;
    token.position = at_;
    if (at_ >= text_.size()) return token;
    const char c = text_[at_];
    if (c == '"' || c == '\'' || c == '`') return String(c, token);
    if (IsDigit(c) || (c == '.' && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1]))) return Number(token);
    if (IsNameStart(c)) {
      while (at_ < text_.size() && IsNamePart(text_[at_])) token.text += text_[at_++];
      token.type = Token::Type::kName;
      return token;
    }
    token.type = Token::Type::kSymbol;
    for (const char* symbol : {"==", "!=", ">=", "<=", "=~", "!~"}) {
      if (text_.compare(at_, 2, symbol) == 0) {
        at_ += 2;
        token.text = symbol;
        return token;
      }
    }
    if (std::string_view("(){}[],=<>+-*/%^:@").find(c) == std::string_view::npos)
      throw Wrong{at_,
                  std::string("unexpected character: ") + (c >= 0x20 && c < 0x7f ? std::string(1, c) : "no ASCII")};
    token.text = text_[at_++];
    return token;
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else {
        return;
      }
    }
  }

  Token Number(Token token) {
    const std::size_t begin = at_;
    const bool hex = text_.compare(at_, 2, "0x") == 0 || text_.compare(at_, 2, "0X") == 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool sign =
          (c == '+' || c == '-') && !hex && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && at_ > begin;
      if (!IsNamePart(c) && c != '.' && !sign) break;
      if (c == ':') break;
      ++at_;
    }
    token.text = text_.substr(begin, at_ - begin);
    if (const auto number = NumberOf(token.text)) {
      token.type = Token::Type::kNumber;
      token.number = *number;
      return token;
    }
    const auto duration = DurationOf(token.text);
    if (!duration) throw Wrong{begin, "bad number or duration syntax: \"" + token.text + "\""};
    token.type = Token::Type::kDuration;
    token.duration_ms = *duration;
    return token;
  }

  // The escapes of Go: \a \b \f \n \r \t \v \\ \' \" \xhh \ooo \uhhhh \Uhhhhhhhh; none between backticks.
  Token String(char quote, Token token) {
    token.type = Token::Type::kString;
    const std::size_t begin = at_++;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      const char c = text_[at_];
      if (c == '\n' && quote != '`') break;
      if (c != '\\' || quote == '`') {
        token.text += c;
        continue;
      }
      if (++at_ >= text_.size()) break;
      Escape(quote, &token.text);
    }
    if (at_ >= text_.size() || text_[at_] != quote) throw Wrong{begin, "unterminated quoted string"};
    ++at_;
    if (!IsUtf8(token.text)) throw Wrong{begin, "the string is not UTF-8"};
    return token;
  }

  void Escape(char quote, std::string* out) {
    constexpr std::pair<char, char> kSimple[] = {{'a', '\a'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'},
                                                 {'r', '\r'}, {'t', '\t'}, {'v', '\v'}, {'\\', '\\'}};
    const char c = text_[at_];
    for (const auto& [letter, meaning] : kSimple) {
      if (c == letter) return out->push_back(meaning);
    }
    if (c == quote) return out->push_back(c);
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : IsDigit(c) ? 3 : 0;
    const int base = IsDigit(c) ? 8 : 16;
    const std::size_t begin = IsDigit(c) ? at_ : at_ + 1;
    std::uint32_t code = 0;
    const char* first = text_.data() + begin;
    if (digits == 0 || begin + static_cast<std::size_t>(digits) > text_.size() ||
        std::from_chars(first, first + digits, code, base).ptr != first + digits)
      throw Wrong{at_ - 1, "unknown escape sequence"};
    at_ = begin + static_cast<std::size_t>(digits) - 1;
    if (c == 'x' || IsDigit(c)) {
      if (code > 255) throw Wrong{at_, "unknown escape sequence"};
      return out->push_back(static_cast<char>(code));
    }
    AppendUtf8(code, out);
  }

  static void AppendUtf8(std::uint32_t code, std::string* out) {
    const auto tail = [&](int shift) { out->push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f))); };
    if (code < 0x80) {
      out->push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out->push_back(static_cast<char>(0xc0 | (code >> 6))), tail(0);
    } else if (code < 0x10000) {
      out->push_back(static_cast<char>(0xe0 | (code >> 12))), tail(6), tail(0);
    } else {
      out->push_back(static_cast<char>(0xf0 | ((code >> 18) & 7))), tail(12), tail(6), tail(0);
    }
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

const char* NameOf(ValueType type) {
  switch (type) {
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kString:
      return "string";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kRange:
      return "range vector";
  }
  return "";
}

bool IsSet(const std::string& op) { return op == "and" || op == "or" || op == "unless"; }

int Precedence(const std::string& op) {
  if (op == "or") return 1;
  if (op == "and" || op == "unless") return 2;
  if (IsComparison(op)) return 3;
  if (op == "+" || op == "-") return 4;
  if (op == "*" || op == "/" || op == "%" || op == "atan2") return 5;
  if (op == "^") return 6;
  return 0;
}

class Parser {
 public:
  explicit Parser(const std::string& text) : lexer_(text) { Advance(); }

  ExpressionPtr Whole() {
    if (token_.type == Token::Type::kEnd) throw Wrong{token_.position, "no expression found in input"};
    ExpressionPtr expression = Binary(1);
    if (token_.type != Token::Type::kEnd) throw Unexpected();
    return expression;
  }

 private:
  void Advance() { token_ = lexer_.Next(); }
  bool Is(const char* symbol) const { return token_.type == Token::Type::kSymbol && token_.text == symbol; }
  bool IsWord(const char* word) const { return token_.type == Token::Type::kName && Lower(token_.text) == word; }
  bool Accept(const char* symbol) {
    if (!Is(symbol)) return false;
    Advance();
    return true;
  }
  void Expect(const char* symbol) {
    if (!Accept(symbol)) throw Wrong{token_.position, std::string("expected \"") + symbol + "\""};
  }
  Wrong Unexpected() const {
    if (token_.type == Token::Type::kEnd) return {token_.position, "unexpected end of input"};
    return {token_.position, "unexpected \"" + token_.text + "\""};
  }

  // The operator that stands here, or empty.
  std::string Operator() const {
    if (token_.type == Token::Type::kSymbol) return Precedence(token_.text) > 0 ? token_.text : "";
    if (token_.type != Token::Type::kName) return "";
    const std::string word = Lower(token_.text);
    return Precedence(word) > 0 ? word : "";
  }

  ExpressionPtr Binary(int least) {
    if (++depth_ > Query::kMostDepth) throw Wrong{token_.position, "the expression nests too deep"};
    ExpressionPtr left = Unary();
    for (std::string op = Operator(); !op.empty() && Precedence(op) >= least; op = Operator()) {
      auto binary = std::make_unique<Expression>();
      binary->kind = Kind::kBinary;
      binary->position = token_.position;
      binary->text = op;
      if (op == "atan2") throw Wrong{token_.position, "the operator atan2 is not supported here"};
      Advance();
      Modifiers(binary.get());
      // `^` groups from the right.
      ExpressionPtr right = Binary(op == "^" ? Precedence(op) : Precedence(op) + 1);
      binary->arguments.push_back(std::move(left));
      binary->arguments.push_back(std::move(right));
      CheckBinary(binary.get());
      left = std::move(binary);
    }
    --depth_;
    return left;
  }

  void Modifiers(Expression* binary) {
    if (IsWord("bool")) {
      if (!IsComparison(binary->text))
        throw Wrong{token_.position, "bool modifier can only be used on comparison operators"};
      binary->returns_bool = true;
      Advance();
    }
    if (IsWord("on") || IsWord("ignoring")) {
      binary->has_matching = true;
      binary->on = IsWord("on");
      Advance();
      binary->labels = LabelList();
    }
    if (IsWord("group_left") || IsWord("group_right"))
      throw Wrong{token_.position, "group_left and group_right are not supported here"};
  }

  static void CheckBinary(Expression* binary) {
    const ValueType left = binary->arguments[0]->type, right = binary->arguments[1]->type;
    for (const ValueType type : {left, right}) {
      if (type != ValueType::kScalar && type != ValueType::kVector)
        throw Wrong{
            binary->position,
            std::string("binary expression must contain only scalar and instant vector types, not ") + NameOf(type)};
    }
    const bool scalars = left == ValueType::kScalar && right == ValueType::kScalar;
    const bool vectors = left == ValueType::kVector && right == ValueType::kVector;
    if (scalars && IsComparison(binary->text) && !binary->returns_bool)
      throw Wrong{binary->position, "comparisons between scalars must use BOOL modifier"};
    if (!vectors && IsSet(binary->text))
      throw Wrong{binary->position, "set operator \"" + binary->text + "\" not allowed in binary scalar expression"};
    if (!vectors && binary->has_matching)
      throw Wrong{binary->position, "vector matching only allowed between instant vectors"};
    binary->type = scalars ? ValueType::kScalar : ValueType::kVector;
  }

  ExpressionPtr Unary() {
    if (!Is("-") && !Is("+")) return Postfix(Primary());
    const bool negative = Is("-");
    const std::size_t position = token_.position;
    Advance();
    // Binds looser than `^`.
    ExpressionPtr inner = Binary(Precedence("^"));
    if (inner->type != ValueType::kScalar && inner->type != ValueType::kVector)
      throw Wrong{position,
                  std::string("unary expression only allowed on expressions of type scalar or instant vector, got ") +
                      NameOf(inner->type)};
    if (!negative) return inner;
    auto negate = std::make_unique<Expression>();
    negate->kind = Kind::kNegate;
    negate->type = inner->type;
    negate->position = position;
    negate->arguments.push_back(std::move(inner));
    return negate;
  }

  ExpressionPtr Primary() {
    auto expression = std::make_unique<Expression>();
    expression->position = token_.position;
    if (token_.type == Token::Type::kNumber) {
      expression->number = token_.number;
      Advance();
      return expression;
    }
    if (token_.type == Token::Type::kString) {
      expression->kind = Kind::kString;
      expression->type = ValueType::kString;
      expression->text = token_.text;
      Advance();
      return expression;
    }
    if (Accept("(")) {
      ExpressionPtr inner = Binary(1);
      Expect(")");
      return inner;
    }
    if (Is("{")) return Selector("", token_.position);
    if (token_.type != Token::Type::kName) throw Unexpected();
    const std::string name = token_.text;
    const std::size_t position = token_.position;
    Advance();
    if (const Aggregation* aggregation = FindAggregation(Lower(name));
        aggregation != nullptr && (Is("(") || IsWord("by") || IsWord("without")))
      return Aggregate(*aggregation, position);
    if (Is("(")) return Call(name, position);
    if (const auto number = NumberOf(name)) {
      expression->number = *number;
      return expression;
    }
    return Selector(name, position);
  }

  // What may stand behind a selector.
  ExpressionPtr Postfix(ExpressionPtr expression) {
    for (;;) {
      if (Is("[")) {
        if (expression->kind != Kind::kSelector || expression->range_ms > 0)
          throw Wrong{token_.position, expression->type == ValueType::kVector
                                           ? "subqueries are not supported here"
                                           : "ranges only allowed for vector selectors"};
        if (expression->offset_ms != 0) throw Wrong{token_.position, "no offset modifiers allowed before range"};
        Advance();
        if (token_.type != Token::Type::kDuration) throw Wrong{token_.position, "expected a duration such as 5m"};
        expression->range_ms = token_.duration_ms;
        if (expression->range_ms == 0) throw Wrong{token_.position, "duration must be greater than 0"};
        Advance();
        if (!token_.text.empty() && token_.text[0] == ':') throw Wrong{token_.position, "subqueries are not supported here"};
        Expect("]");
        expression->type = ValueType::kRange;
      } else if (IsWord("offset")) {
        if (expression->kind != Kind::kSelector)
          throw Wrong{token_.position, "offset modifier must be preceded by a selector"};
        Advance();
        const bool negative = Accept("-");
        if (token_.type != Token::Type::kDuration) throw Wrong{token_.position, "expected a duration such as 5m"};
        expression->offset_ms = negative ? -token_.duration_ms : token_.duration_ms;
        Advance();
      } else if (Is("@")) {
        throw Wrong{token_.position, "the modifier @ is not supported here"};
      } else {
        return expression;
      }
    }
  }

  static Matcher Matching(std::string name, Matcher::Type type, std::string value, std::size_t position) {
    auto matcher = Matcher::Of(std::move(name), type, std::move(value));
    if (!matcher.ok()) throw Wrong{position, std::string(matcher.status().message())};
    return *std::move(matcher);
  }

  ExpressionPtr Selector(const std::string& name, std::size_t position) {
    auto selector = std::make_unique<Expression>();
    selector->kind = Kind::kSelector;
    selector->type = ValueType::kVector;
    selector->position = position;
    if (!name.empty()) selector->matchers.push_back(Matching("__name__", Matcher::Type::kEqual, name, position));
    if (Accept("{")) {
      while (!Is("}")) {
        Match(selector.get());
        if (!Accept(",")) break;
      }
      Expect("}");
    }
    const bool some = std::any_of(selector->matchers.begin(), selector->matchers.end(),
                                  [](const Matcher& matcher) { return !matcher.Matches(std::string()); });
    if (!some) throw Wrong{selector->position, "vector selector must contain at least one non-empty matcher"};
    return selector;
  }

  void Match(Expression* selector) {
    constexpr std::pair<const char*, Matcher::Type> kTypes[] = {{"=", Matcher::Type::kEqual},
                                                                {"!=", Matcher::Type::kNotEqual},
                                                                {"=~", Matcher::Type::kMatches},
                                                                {"!~", Matcher::Type::kNotMatches}};
    if (token_.type != Token::Type::kName || token_.text.find(':') != std::string::npos) throw Unexpected();
    const Token name = token_;
    Advance();
    for (const auto& [symbol, type] : kTypes) {
      if (!Accept(symbol)) continue;
      if (token_.type != Token::Type::kString) throw Unexpected();
      if (name.text == "__name__" && !selector->matchers.empty() && selector->matchers[0].name() == "__name__" &&
          selector->matchers[0].type() == Matcher::Type::kEqual)
        throw Wrong{name.position, "metric name must not be set twice"};
      selector->matchers.push_back(Matching(name.text, type, token_.text, token_.position));
      return Advance();
    }
    throw Unexpected();
  }

  std::vector<std::string> LabelList() {
    Expect("(");
    std::vector<std::string> labels;
    while (!Is(")")) {
      if (token_.type != Token::Type::kName || token_.text.find(':') != std::string::npos) throw Unexpected();
      labels.push_back(token_.text);
      Advance();
      if (!Accept(",")) break;
    }
    Expect(")");
    return labels;
  }

  std::vector<ExpressionPtr> Arguments() {
    Expect("(");
    std::vector<ExpressionPtr> arguments;
    while (!Is(")")) {
      arguments.push_back(Binary(1));
      if (!Accept(",")) break;
    }
    Expect(")");
    return arguments;
  }

  ExpressionPtr Aggregate(const Aggregation& aggregation, std::size_t position) {
    if (!aggregation.supported)
      throw Wrong{position, std::string("the aggregation ") + aggregation.name + " is not supported here"};
    auto expression = std::make_unique<Expression>();
    expression->kind = Kind::kAggregate;
    expression->type = ValueType::kVector;
    expression->position = position;
    expression->text = aggregation.name;
    const auto grouping = [&] {
      if (!IsWord("by") && !IsWord("without")) return false;
      expression->without = IsWord("without");
      Advance();
      expression->labels = LabelList();
      return true;
    };
    const bool before = grouping();
    expression->arguments = Arguments();
    if (!before) grouping();
    const std::size_t want = aggregation.parameter ? 2 : 1;
    if (expression->arguments.size() != want)
      throw Wrong{position, "wrong number of arguments for aggregate expression provided, expected " +
                                std::to_string(want) + ", got " + std::to_string(expression->arguments.size())};
    if (aggregation.parameter)
      Expected(*expression->arguments[0], ValueType::kScalar, std::string("aggregation ") + aggregation.name);
    Expected(*expression->arguments.back(), ValueType::kVector, std::string("aggregation ") + aggregation.name);
    return expression;
  }

  static void Expected(const Expression& argument, ValueType type, const std::string& where) {
    if (argument.type != type)
      throw Wrong{argument.position,
                  std::string("expected type ") + NameOf(type) + " in " + where + ", got " + NameOf(argument.type)};
  }

  ExpressionPtr Call(const std::string& name, std::size_t position) {
    bool known = false;
    const Function* function = FindFunction(name, &known);
    if (function == nullptr)
      throw Wrong{position, known ? "the function " + name + " is not supported here"
                                  : "unknown function with name \"" + name + "\""};
    auto call = std::make_unique<Expression>();
    call->kind = Kind::kCall;
    call->type = function->result;
    call->position = position;
    call->function = function;
    call->arguments = Arguments();
    const std::size_t most = function->arguments.size(), least = most - function->optional,
                      got = call->arguments.size();
    if (got < least || got > most)
      throw Wrong{position, "expected " + std::to_string(got < least ? least : most) + " argument(s) in call to \"" +
                                name + "\", got " + std::to_string(got)};
    for (std::size_t i = 0; i < got; ++i)
      Expected(*call->arguments[i], function->arguments[i], "call to function \"" + name + "\"");
    return call;
  }

  Lexer lexer_;
  Token token_;
  std::size_t depth_ = 0;
};

// Line and column, from 1.
std::string Place(const std::string& text, std::size_t position) {
  const std::size_t at = std::min(position, text.size());
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
  const std::size_t begin = text.rfind('\n', at == 0 ? 0 : at - 1);
  const std::size_t column = line == 0 || begin == std::string::npos ? at + 1 : at - begin;
  return std::to_string(line + 1) + ":" + std::to_string(column);
}

}  // namespace

bool IsComparison(const std::string& op) {
  return op == "==" || op == "!=" || op == "<" || op == ">" || op == "<=" || op == ">=";
}

struct Matcher::Regex {
  explicit Regex(const std::string& pattern, const RE2::Options& options) : re(pattern, options) {}
  RE2 re;
};

absl::StatusOr<Matcher> Matcher::Of(std::string name, Type type, std::string value) {
  Matcher matcher(std::move(name), type, std::move(value));
  if (type == Type::kEqual || type == Type::kNotEqual) return matcher;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  auto regex = std::make_shared<Regex>(matcher.value_, options);
  if (!regex->re.ok()) return absl::InvalidArgumentError("error parsing regexp: " + regex->re.error());
  matcher.regex_ = std::move(regex);
  return matcher;
}

bool Matcher::Matches(const std::string& value) const {
  switch (type_) {
    case Type::kEqual:
      return value == value_;
    case Type::kNotEqual:
      return value != value_;
    case Type::kMatches:
      return RE2::FullMatch(value, regex_->re);
    case Type::kNotMatches:
      return !RE2::FullMatch(value, regex_->re);
  }
  return false;
}

bool Matcher::Matches(const Labels& labels) const {
  const auto found = labels.find(name_);
  return Matches(found == labels.end() ? std::string() : found->second);
}

absl::StatusOr<ExpressionPtr> ParseExpression(const std::string& text) {
  if (text.size() > Query::kMostBytes)
    return absl::InvalidArgumentError("parse error: the query is longer than 16 KiB");
  try {
    return Parser(text).Whole();
  } catch (const Wrong& wrong) {
    return absl::InvalidArgumentError(Place(text, wrong.position) + ": parse error: " + wrong.what);
  }
}

absl::StatusOr<std::vector<Matcher>> ParseSelector(const std::string& text) {
  auto expression = ParseExpression(text);
  if (!expression.ok()) return expression.status();
  if ((*expression)->kind != Kind::kSelector || (*expression)->type != ValueType::kVector ||
      (*expression)->offset_ms != 0)
    return absl::InvalidArgumentError("parse error: expected a selector such as pepeunit_output{unit=\"x\"}");
  return std::move((*expression)->matchers);
}

bool ParseDuration(const std::string& text, std::int64_t* ms) {
  if (const auto duration = DurationOf(text)) {
    *ms = *duration;
    return true;
  }
  const auto seconds = text.empty() || !(IsDigit(text[0]) || text[0] == '.') ? std::nullopt : NumberOf(text);
  if (!seconds || !std::isfinite(*seconds) || *seconds * 1'000 > static_cast<double>(kMostDurationMs)) return false;
  *ms = std::llround(*seconds * 1'000);
  return true;
}

}  // namespace pepeunit::promql
