let length = 0;
for (let i = 0; i < 3000; i++) {
  length += ("user" + i + "@example.com, other text").replace(/([a-z]+)\d*@/g, "$1#").length;
}
setVariable("result", length);
