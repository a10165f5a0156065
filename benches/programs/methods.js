class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
  step(distance) {
    this.x = this.x + distance;
    this.y = this.y + this.x;
    if (this.y > 1000000) this.y = 0;
    return this.y;
  }
}
const point = new Point(1, 2);
let sum = 0;
for (let i = 0; i < 60000; i++) sum = (sum + point.step(i & 7)) & 0xffffff;
setVariable("result", sum);
