let text = "";
for (let i = 0; i < 20000; i++) text += "item " + i + ", ";
setVariable("result", text.length);
