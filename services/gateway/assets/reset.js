// A new password by an administrator's one-time link. The secret is in the link's fragment, which browsers send to
// nobody: it is in no log and no Referer. It leaves the address bar and the history at once.
const TEXTS = {
  en: {
    title: "A new password",
    about: "The link works once. All that was signed in with the old password is signed out.",
    password: "New password (10 to 256 characters)",
    again: "The same again",
    set: "Set it",
    differ: "The two passwords differ.",
    no_secret: "This link is not complete. Open it exactly as the administrator gave it to you.",
    unreachable: "The instance cannot be reached; try again.",
    done: "The new password is set. You can sign in with it now.",
    BAD_RESET: "This link is unknown, used, replaced or expired. Ask an administrator for a new one.",
    LIMIT: "Too many tries; wait some minutes.",
  },
  ru: {
    title: "Новый пароль",
    about: "Ссылка действует один раз. Всё, где был выполнен вход со старым паролем, будет отключено.",
    password: "Новый пароль (от 10 до 256 знаков)",
    again: "Ещё раз",
    set: "Задать",
    differ: "Пароли не совпадают.",
    no_secret: "Ссылка неполная. Откройте её в точности такой, какой её дал администратор.",
    unreachable: "Сервер недоступен; попробуйте ещё раз.",
    done: "Новый пароль задан. Теперь с ним можно войти.",
    BAD_RESET: "Ссылка неизвестна, уже использована, заменена или просрочена. Попросите у администратора новую.",
    LIMIT: "Слишком много попыток; подождите несколько минут.",
  },
};

const language = navigator.languages.some((tag) => tag.toLowerCase().startsWith("ru")) ? "ru" : "en";
const text = TEXTS[language];
const at = (id) => document.getElementById(id);
const say = (message, good) => {
  at("result").className = good ? "" : "bad";
  at("result").textContent = message;
};

const secret = decodeURIComponent(location.hash.slice(1));
history.replaceState(null, "", location.pathname);
document.documentElement.lang = language;
document.title = text.title;
for (const element of document.querySelectorAll("[data-text]")) element.textContent = text[element.dataset.text];
at("form").hidden = !secret;
at("reset").hidden = false;
if (!secret) say(text.no_secret);

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (at("password").value !== at("again").value) return say(text.differ);
  say("");
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch("/api/v1/users:redeem-reset", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ secret, new_password: at("password").value }),
    });
    if (response.ok) {
      at("form").hidden = true;
      return say(text.done, true);
    }
    const problem = await response.json();
    say(text[problem.reason] || problem.detail || problem.title);
  } catch {
    say(text.unreachable);
  } finally {
    button.disabled = false;
  }
});
