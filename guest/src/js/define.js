// Defines a global that scripts can read and call, but not replace. Objects are frozen, and classes
// are frozen with their prototypes.
(() => {
  const { defineProperty, freeze } = Object;
  return (name, value) => {
    if (typeof value === "object" || typeof value === "function") freeze(value);
    if (typeof value === "function" && value.prototype) freeze(value.prototype);
    defineProperty(globalThis, name, { value, enumerable: true });
  };
})()
