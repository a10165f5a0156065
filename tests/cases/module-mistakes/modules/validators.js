export function requireCustomer() {}
export const limit = 1;
const inner = 2;
export { inner as renamed };
export class Email {}
export async function validate() {}
export default 1;
