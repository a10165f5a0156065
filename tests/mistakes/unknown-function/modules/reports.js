export const nightly = () => console.log("done");
