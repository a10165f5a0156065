// The page /members/cups in the browser: says what is wrong with a photo before it is sent. The server decides.
const field = document.getElementById("photo");

field?.addEventListener("change", () => {
  const [photo] = field.files;
  const kinds = field.accept.split(",");
  const megabytes = (photo?.size ?? 0) / 1_000_000;
  let wrong = "";
  if (photo && !kinds.includes(photo.type)) wrong = "This is not a PNG, JPEG or WebP file.";
  else if (megabytes > 2) wrong = `This photo has ${megabytes.toFixed(1)} MB. 2 MB are allowed.`;
  field.setCustomValidity(wrong);
  field.reportValidity();
});
