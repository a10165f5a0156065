const items = [];
for (let i = 0; i < 10000; i++) {
  items.push('<li class="' + (i % 2 ? "odd" : "even") + '">' + i + "</li>");
}
setVariable("result", items.join("").length);
