const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
function page(visit) {
  const escape = (text) => String(text).replace(/[&<>"']/g, (c) => escapes[c]);
  const items = [];
  for (let i = 1; i <= 10; i++) {
    items.push({
      id: i,
      title: `Item <${i}> & "more" for Ann`,
      price: ((i * 137 + visit) % 1000) / 10,
      href: `/item?id=${i}&ref=list`,
      tags: ["a" + i, "b" + ((i * 7) % 10)],
    });
  }
  const rows = items.map(
    (item) =>
      `<li id="i${item.id}"><a href="${escape(item.href)}">${escape(item.title)}</a> ` +
      `<span>${item.price.toFixed(2)}</span> <em>${item.tags.map(escape).join(", ")}</em></li>`,
  );
  return `<h1>Hello, ${escape("Ann")}!</h1><ul>${rows.join("\n")}</ul>`;
}
let length = 0;
for (let visit = 0; visit < 30; visit++) length += page(visit).length;
setVariable("result", length);
