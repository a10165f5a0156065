export async function later() {
  await null;
      throw new Error("in a module");
}
