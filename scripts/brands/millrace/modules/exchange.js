// The grain exchange that this site plays while brand.toml names no `grain_api`. Each refresh token works once.
import { random } from "encoding";

const KEY = "exchange:refresh";
export const lifetime = 60;

// What its token endpoint answers. `refresh_token` is null for somebody who never had one.
export function renew(refresh_token) {
  const next = random();
  // Of two callers with the same token, one gets the next.
  if (!storage.compareAndSet(KEY, refresh_token, next)) return null;
  return { access_token: random(), refresh_token: next, expires_in: lifetime };
}

// Prices in euros for 100 kg, which change with the day.
export function prices() {
  const day = Math.floor(Date.now() / 86_400_000);
  const grains = { Oats: 24.1, Rye: 19.6, Spelt: 41.3, Barley: 20.8, Emmer: 57.5 };
  return Object.entries(grains).map(([name, usual], at) => {
    const of = (when) => Math.round(usual * (1 + 0.04 * Math.sin(when * (at + 1.7))) * 100) / 100;
    return { name, price: of(day), change: Math.round((of(day) - of(day - 1)) * 100) / 100 };
  });
}
