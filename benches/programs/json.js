const rows = [];
for (let i = 0; i < 200; i++) {
  rows.push({ id: i, name: "name " + i, tags: ["a", "b", "c" + i], price: i * 1.25, ok: i % 3 === 0 });
}
let count = 0;
for (let i = 0; i < 10; i++) count += JSON.parse(JSON.stringify(rows)).length;
setVariable("result", count);
