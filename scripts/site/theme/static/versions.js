// Lets a reader choose among the versions of the site that stand beside this one. The list is a
// script beside their folders, so that older pages know of newer ones, also if opened as files.
const box = document.querySelector(".versions");

window.tidingsVersions = (names) => {
  const select = box.querySelector("select");
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  select.value = box.dataset.version;
  select.disabled = names.length < 2;
  select.addEventListener("change", () => {
    // Not the same page: another version may not have it.
    location.href = `${box.dataset.site}${select.value}/index.html`;
  });
  if (names[0] !== box.dataset.version) {
    const note = document.createElement("p");
    const link = document.createElement("a");
    link.href = `${box.dataset.site}${names[0]}/index.html`;
    link.textContent = `tidings ${names[0]}`;
    note.className = "older";
    note.append("There is a newer version: ", link, ".");
    document.querySelector("article").prepend(note);
  }
};

if (box) {
  const list = document.createElement("script");
  list.src = `${box.dataset.site}versions.js`;
  document.head.append(list);
}
