// Step 2 before there is any camera: pictures from this computer or phone make one.

import { model, page } from "./api.js";
import { uploads } from "./upload.js";

uploads(model(page.model), (added) => added > 0 && location.reload());
