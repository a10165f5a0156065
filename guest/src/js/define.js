// Makes a global that scripts can read and call, but not replace: objects are
// frozen with what they hold.
(() => {
  const { defineProperty, freeze } = Object;
  return (name, value) => {
    if (typeof value === "object" || typeof value === "function") freeze(value);
    defineProperty(globalThis, name, { value, enumerable: true });
  };
})()
