let length = 0;
for (let i = 0; i < 3000; i++) {
  length += "a,b,c,d,e,f,g,h"
    .split(",")
    .map((letter) => letter.toUpperCase())
    .join("-").length;
}
setVariable("result", length);
