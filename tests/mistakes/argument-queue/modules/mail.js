export default () => {};
export const remind = () => {};
