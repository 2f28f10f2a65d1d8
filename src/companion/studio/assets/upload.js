// Pictures from this computer or phone become examples.

import { post } from "./api.js";
import { count, find, note } from "./say.js";

/** When a file was changed, in milliseconds, as the clock on the wall said. */
const onTheWall = ({ lastModified }) => Math.round(lastModified - new Date(lastModified).getTimezoneOffset() * 60000);

/** Sends the files one after the other; gives how many were new and why others were refused. */
async function send(to, files, camera, sent) {
  let added = 0;
  const refused = [];
  for (const [i, file] of files.entries()) {
    sent(i);
    const query = new URLSearchParams({ modified: onTheWall(file), name: file.name });
    if (camera) query.set("camera", camera);
    try {
      const answer = await post(`${to("/pictures")}?${query}`, file);
      if (answer.new) added += 1;
    } catch (error) {
      refused.push(`${file.name}: ${error.message}`);
    }
  }
  return { added, refused };
}

/** Makes the page's "Add pictures" work. `done` is told when all were sent. */
export function uploads(to, done) {
  const input = find("#upload");
  const words = find(".upload .words");
  const before = words?.textContent;
  input?.addEventListener("change", async () => {
    const files = [...input.files];
    input.disabled = true;
    const camera = find("#upload-camera")?.value;
    const { added, refused } = await send(to, files, camera, (i) => (words.textContent = `${i + 1} of ${files.length} …`));
    words.textContent = before;
    input.disabled = false;
    input.value = "";
    await done(added);
    find("#problem").textContent = refused.join("\n");
    const known = files.length - added - refused.length;
    note(`${count(added)} added${known > 0 ? `, ${known} were there already` : ""}.`);
  });
}
