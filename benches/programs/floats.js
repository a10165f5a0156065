let x = 0.5;
let y = 0.25;
for (let i = 0; i < 150000; i++) {
  const next = x * x - y * y + 0.1;
  y = x * y * 1.5 + 0.2;
  x = next;
  if (x > 2) x -= 2.5;
  if (y > 2) y -= 2.5;
}
setVariable("result", x + y);
